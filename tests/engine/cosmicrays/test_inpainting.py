"""Filling: from good neighbours only, farther only where it must."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cosmicrays.inpainting import inpaint


def test_a_pixel_gets_the_median_of_its_neighbours() -> None:
    pixels = np.array([[1, 2, 3], [4, 999, 6], [7, 8, 90]], np.float32)
    mask = pixels == 999
    filled = inpaint(pixels, mask)
    assert filled[1, 1] == 5.0
    assert np.array_equal(filled[~mask], pixels[~mask])


def test_masked_and_unusable_neighbours_are_not_used() -> None:
    pixels = np.full((7, 7), 10, np.float32)
    pixels[2:5, 2:5] = 500
    pixels[0] = np.nan
    mask, unusable = pixels == 500, np.isnan(pixels)
    filled = inpaint(pixels, mask, unusable)
    assert (filled[2:5, 2:5] == 10).all()
    assert np.isnan(filled[0]).all()


def test_the_middle_of_a_large_hole_takes_the_nearest_good_pixel() -> None:
    pixels = np.zeros((60, 60), np.float32)
    pixels[:, 0] = 7
    mask = np.ones((60, 60), bool)
    mask[:, 0] = False
    assert (inpaint(pixels, mask) == 7).all()


def test_a_slope_is_kept() -> None:
    y, x = np.mgrid[:30, :30].astype(np.float32)
    pixels = 3 * x + 2 * y
    mask = np.zeros((30, 30), bool)
    mask[10:20, 15] = True
    np.testing.assert_allclose(inpaint(pixels, mask)[mask], pixels[mask], atol=4)


def test_the_input_is_left_alone() -> None:
    pixels = np.arange(25, dtype=np.float32).reshape(5, 5)
    before = pixels.copy()
    inpaint(pixels, pixels == 12)
    assert np.array_equal(pixels, before)


def test_without_a_good_pixel_there_is_nothing_to_fill_from() -> None:
    with pytest.raises(ValueError, match="no good pixel"):
        inpaint(np.zeros((3, 3), np.float32), np.ones((3, 3), bool))
