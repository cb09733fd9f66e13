"""The finder chart: what it cuts, where it marks, what it says of the sky."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from astropy.wcs import WCS
from PIL import Image

from dashboard.finder_chart import BRIGHT, MARK, SIDE_PX, drawn, field_of

FOUND = {"x": 50.0, "y": 60.0, "size_px": 24}


def header() -> str:
    """North up the columns, east to lower columns, 3 arcsec a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [10, 45], [64, 64], [-3 / 3600, 3 / 3600]
    return str(wcs.to_header().tostring())


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_the_field_is_four_times_the_detection_and_black_beyond_the_frame() -> None:
    pixels = np.random.default_rng(0).normal(100, 5, (128, 128)).astype(np.float32)
    mask = np.zeros((128, 128), dtype=bool)
    mask[70, 40] = True
    field = field_of(pixels, mask, "", FOUND)
    assert field.grey.shape == (96, 96)
    assert (field.x0, field.y0) == (2, 12)
    assert field.grey[58, 38] == 0
    assert field.compass is None
    corner = field_of(pixels, mask, "", {"x": 0.0, "y": 0.0, "size_px": 24})
    assert (corner.grey[:48] == 0).all()
    assert corner.grey[49:, 49:].max() > 0


def test_the_circle_is_around_the_detection_and_the_bar_in_pixels_without_a_sky() -> None:
    field = field_of(np.zeros((128, 128)), np.zeros((128, 128), dtype=bool), "", FOUND)
    png, words = drawn(field, FOUND)
    rows, columns = np.nonzero((picture(png) == MARK).all(axis=2))
    scale = SIDE_PX / 96
    middle = ((50 - 2 + 0.5) * scale, (60 - 12 + 0.5) * scale)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(middle[0], abs=1.5)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(middle[1], abs=1.5)
    assert (columns.max() - columns.min()) / 2 == pytest.approx(12 * scale, abs=2)
    assert "no sky coordinates" in words


def test_the_compass_is_drawn_as_the_header_says() -> None:
    pixels = np.zeros((128, 128))
    field = field_of(pixels, np.zeros((128, 128), dtype=bool), header(), FOUND)
    assert field.compass is not None
    assert field.compass.north == pytest.approx((0, 1), abs=2e-3)
    assert field.compass.east == pytest.approx((-1, 0), abs=2e-3)
    png, words = drawn(field, FOUND)
    assert words.startswith("Finder chart, 4.8′ wide, 3″ a pixel")
    # Rows grow downwards, so that north points down from the corner where the arrows begin.
    shown = (picture(png) == BRIGHT).all(axis=2)
    assert shown[76 + 30, SIDE_PX - 76]
    assert shown[76, SIDE_PX - 76 - 30]
    assert not shown[76 - 30, SIDE_PX - 76]
    # A bar of 60 arcsec is 20 px of 96.
    bar = np.nonzero(shown[SIDE_PX - 18])[0]
    assert bar.max() - bar.min() == pytest.approx(20 * SIDE_PX / 96, abs=2)
    assert math.isclose(field.compass.arcsec_per_px, 3, rel_tol=1e-6)
