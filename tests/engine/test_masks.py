"""Groups of a mask agree with scipy's labels; edits agree with saying it pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from engine.masks import MaskEdit, connected_groups, edited

quick = settings(max_examples=40, deadline=None)
masks = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9))


@quick
@given(masks)
def test_groups_are_those_of_scipy_in_reading_order(mask: np.ndarray) -> None:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    groups = connected_groups(mask)
    assert groups.count == count
    np.testing.assert_array_equal(groups.pixels, np.flatnonzero(mask))
    ours = np.full(mask.size, -1)
    ours[groups.pixels] = groups.number
    first = [np.flatnonzero(ours == group)[0] for group in range(count)]
    assert first == sorted(first)
    for group in range(count):
        its = labels.ravel()[groups.members(group)]
        assert (labels.ravel() == its[0]).sum() == groups.sizes()[group] == its.size
        assert set(its) == {its[0]}


@quick
@given(masks)
def test_boxes_are_those_of_scipy(mask: np.ndarray) -> None:
    groups = connected_groups(mask)
    for group, (y0, x0, height, width) in enumerate(groups.boxes()):
        rows, columns = np.divmod(groups.members(group), mask.shape[1])
        assert (rows.min(), columns.min()) == (y0, x0)
        assert (rows.max() - y0 + 1, columns.max() - x0 + 1) == (height, width)


def test_the_group_at_a_pixel() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[3, 4] = True
    groups = connected_groups(mask)
    assert [groups.at(0, 0), groups.at(1, 1), groups.at(3, 4)] == [0, 0, 1]
    assert groups.at(2, 2) is None
    assert groups.at(3, 3) is None


def test_columns_do_not_touch_around_the_edge() -> None:
    mask = np.zeros((2, 4), dtype=bool)
    mask[0, 3] = mask[1, 0] = True
    assert connected_groups(mask).count == 2


def test_the_last_word_on_a_pixel_holds() -> None:
    mask = np.eye(3, dtype=bool)
    corner = np.ones((2, 2), dtype=bool)
    said = edited(
        mask,
        [
            MaskEdit("remove", 0, 0, corner),
            MaskEdit("add", 0, 0, np.array([[True, False], [False, False]])),
        ],
    )
    np.testing.assert_array_equal(said.mask, np.diag([True, False, True]))
    np.testing.assert_array_equal(said.judged, [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(mask, np.eye(3))


def test_a_confirmed_mask_replaces_what_was_there_and_can_be_edited_further() -> None:
    whole = np.zeros((3, 3), dtype=bool)
    said = edited(
        np.eye(3, dtype=bool),
        [MaskEdit("confirm", 0, 0, whole), MaskEdit("add", 2, 0, np.ones((1, 1), dtype=bool))],
    )
    assert np.argwhere(said.mask).tolist() == [[2, 0]]
    assert said.judged.all()


def test_what_is_no_edit_is_refused() -> None:
    mask, pixel = np.zeros((2, 2), dtype=bool), np.ones((1, 1), dtype=bool)
    with pytest.raises(ValueError, match="leaves a"):
        edited(mask, [MaskEdit("add", 2, 0, pixel)])
    with pytest.raises(ValueError, match="expected add, remove or confirm"):
        edited(mask, [MaskEdit("paint", 0, 0, pixel)])


@quick
@given(st.data(), masks)
def test_adding_then_removing_the_same_leaves_it_out(data: st.DataObject, mask: np.ndarray) -> None:
    region = data.draw(arrays.arrays(np.bool_, mask.shape))
    said = edited(mask, [MaskEdit("add", 0, 0, region), MaskEdit("remove", 0, 0, region)])
    np.testing.assert_array_equal(said.mask, mask & ~region)
    np.testing.assert_array_equal(said.judged, region)
