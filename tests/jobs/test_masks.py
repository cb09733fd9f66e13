"""Edited masks: what a person said about pixels, over the mask of the model."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

from db.check import consistency
from db.errors import StoreError
from db.mask_edits import undo_edit
from db.queries import cosmicrays
from db.store import Store
from jobs import masks
from jobs.errors import UsageError
from tests.store_factory import SIDE, fill

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("masks")) as store:
        fill(store, frames=6, per_frame=1)
        yield store


@pytest.fixture
def run(filled: Store) -> dict[str, Any]:
    """A frame's run, another frame for each test."""
    runs = cosmicrays.cosmic_ray_runs(filled)
    used = filled.rows("SELECT DISTINCT frame_digest FROM mask_edits")
    taken = {row["frame_digest"] for row in used}
    return next(row for row in runs if row["frame_digest"] not in taken)


def say(store: Store, run: dict[str, Any], edit_id: str, **document: Any) -> dict[str, Any]:
    plain = {"frame_digest": run["frame_digest"], "editor": "ann", "action": "add"}
    return masks.edit_from(store, plain | document, edit_id=edit_id, now=NOW)


def model_mask(store: Store, run: dict[str, Any], threshold: float = 0.5) -> np.ndarray:
    return np.asarray(masks.probability_of(store, run) > threshold)


def test_without_edits_the_mask_is_the_models(filled: Store, run: dict[str, Any]) -> None:
    said = masks.edited_mask(filled, run)
    np.testing.assert_array_equal(said.mask, model_mask(filled, run))
    assert not said.judged.any()


def test_a_group_named_by_one_of_its_pixels_is_taken_out_and_put_back(
    filled: Store, run: dict[str, Any]
) -> None:
    before = model_mask(filled, run)
    labels, _ = ndimage.label(before, structure=np.ones((3, 3)))
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    y, x = (int(place) for place in np.argwhere(labels == largest)[0])
    row = say(filled, run, "group", action="remove", y=y, x=x)
    said = masks.edited_mask(filled, run)
    np.testing.assert_array_equal(said.mask, before & (labels != largest))
    np.testing.assert_array_equal(said.judged, labels == largest)
    assert (row["threshold"], row["run_id"]) == (0.5, run["run_id"])
    undo_edit(filled, edit_id="group-undone", undoes="group", editor="ann", now=NOW)
    np.testing.assert_array_equal(masks.edited_mask(filled, run).mask, before)
    assert consistency(filled) == []


def test_a_rectangle_is_added(filled: Store, run: dict[str, Any]) -> None:
    row = say(filled, run, "box", y0=10, x0=20, height=3, width=2)
    assert row["region_file"] is None
    expected = model_mask(filled, run)
    expected[10:13, 20:22] = True
    np.testing.assert_array_equal(masks.edited_mask(filled, run).mask, expected)


def test_a_confirmed_frame_keeps_its_mask_whatever_the_threshold(
    filled: Store, run: dict[str, Any]
) -> None:
    say(filled, run, "confirmed", action="confirm", threshold=0.9)
    strict = model_mask(filled, run, 0.9)
    for threshold in (0.1, 0.9):
        said = masks.edited_mask(filled, run, threshold)
        np.testing.assert_array_equal(said.mask, strict)
        assert said.judged.all()


def test_a_mask_as_fits_says_what_it_is(filled: Store, run: dict[str, Any]) -> None:
    say(filled, run, "fits", y0=0, x0=0, height=2, width=2)
    with fits.open(io.BytesIO(masks.mask_fits(filled, run["frame_digest"]))) as units:
        assert [unit.name for unit in units[1:]] == ["SCI", "MASK", "MODEL", "JUDGED", "PROB"]
        assert units[0].header["FRAMESHA"] == run["frame_digest"]
        assert units[0].header["NEDITS"] == 1
        assert units["SCI"].shape == (SIDE, SIDE)
        np.testing.assert_array_equal(units["MODEL"].data, model_mask(filled, run))
        assert units["MASK"].data[:2, :2].all()
        assert units["JUDGED"].data.sum() == 4


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"frame_digest": "nothing"}, "no cosmic-ray run"),
        ({}, "say where"),
        ({"y": 0.5, "x": 1}, "whole number of pixels"),
        ({"y": True, "x": 1}, "whole number of pixels"),
        ({"y": -1, "x": 0}, "no masked pixel"),
        ({"y": 0, "x": 10**9}, "no masked pixel"),
        ({"y0": 0, "x0": 0, "height": "2", "width": 2}, "whole number of pixels"),
    ],
)
def test_a_description_that_lacks_something_is_refused(
    filled: Store, document: dict[str, Any], message: str
) -> None:
    run = cosmicrays.cosmic_ray_runs(filled)[0]
    with pytest.raises(UsageError, match=message):
        say(filled, run, "refused", **document)


def test_a_rectangle_beyond_the_frame_is_refused(filled: Store) -> None:
    run = cosmicrays.cosmic_ray_runs(filled)[0]
    with pytest.raises(StoreError, match="inside the frame's"):
        say(filled, run, "refused", y0=0, x0=0, height=SIDE + 1, width=1)


def test_a_region_of_no_pixel_is_none(filled: Store) -> None:
    with pytest.raises(UsageError, match="at least one pixel"):
        masks.region_of(filled, np.zeros(0, dtype=np.int64), 4)


def test_a_region_that_fills_its_rectangle_needs_no_file(filled: Store) -> None:
    region = masks.region_of(filled, np.array([5, 6, 9, 10]), 4)
    assert (region.y0, region.x0, region.height, region.width) == (1, 1, 2, 2)
    assert region.file is None
    assert masks.region_of(filled, np.array([5, 10]), 4).file is not None
