"""Which part of a frame is judged, and what lies in it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from engine.anomalies.cutouts import (
    Place,
    cosmic_ray_share,
    cutouts_of,
    resolve_mode,
    square,
    whole_image,
)
from engine.errors import NotApplicable
from engine.frame import Frame, Origin
from engine.results import CosmicRayResult
from engine.sky import simulated_frame

ORIGIN = Origin("sim:night", "one")


def picture(shape: tuple[int, ...], dtype: type = np.uint8) -> Frame:
    return Frame.of(np.random.default_rng(0).integers(0, 200, shape).astype(dtype), ORIGIN)


def starry(mask: np.ndarray | None = None) -> Frame:
    rng = np.random.default_rng(1)
    pixels = 100 + rng.normal(0, 4, (96, 96))
    rows, columns = np.mgrid[:96, :96]
    for x, y, peak in ((40, 50, 400), (93, 10, 300)):
        pixels += peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return Frame.of(pixels.astype(np.float32), ORIGIN, mask=mask)


def hits(frame: Frame, mask: np.ndarray, cleaned: np.ndarray) -> CosmicRayResult:
    flat = np.zeros(mask.shape, np.float32)
    return CosmicRayResult(flat, flat, flat, flat, mask, cleaned, 0.5, 1, "test")


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((100, 100), np.uint8, "image"),
        ((3, 100, 100), np.uint8, "image"),
        ((3, 400, 900), np.float32, "image"),
        ((100, 100), np.float32, "sources"),
        ((100, 100), np.uint16, "sources"),
        ((600, 700), np.uint8, "sources"),
    ],
)
def test_pictures_are_judged_whole_and_everything_else_by_its_sources(
    shape: tuple[int, ...], dtype: type, expected: str
) -> None:
    assert resolve_mode(picture(shape, dtype), "auto") == expected


def test_a_mode_that_was_asked_for_is_kept() -> None:
    assert resolve_mode(picture((50, 50)), "sources") == "sources"


def test_a_frame_too_small_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="at least 16 px a side, got 15 x 40"):
        cutouts_of(picture((15, 40)))


def test_a_square_keeps_the_pixel_scale_and_fills_the_edge_with_background() -> None:
    image = np.arange(100, dtype=np.float32).reshape(10, 10)
    level = np.full((10, 10), -1, dtype=np.float32)
    cut = square(image, level, Place.about(1.2, 8.9, 4, image.shape))
    expected = [[-1, 70, 71, 72], [-1, 80, 81, 82], [-1, 90, 91, 92], [-1, -1, -1, -1]]
    np.testing.assert_array_equal(cut, expected)


def test_sources_at_the_edge_and_under_a_mask_give_finite_cutouts() -> None:
    mask = np.zeros((96, 96), np.bool_)
    mask[48:52, 44:48] = True
    pixels = starry().pixels.copy()
    pixels[mask] = np.nan
    cutouts = cutouts_of(Frame.of(pixels, ORIGIN))
    assert [(round(c.x), round(c.y)) for c in cutouts][1] == (93, 10)
    for cutout in cutouts:
        assert np.isfinite(cutout.pixels).all()
        assert cutout.pixels.shape == (cutout.size_px, cutout.size_px)


def test_cutouts_grow_with_their_source() -> None:
    frame = simulated_frame("cutout-test", 0).frame
    sizes = [cutout.size_px for cutout in cutouts_of(frame)]
    assert min(sizes) >= 24
    assert max(sizes) > min(sizes)


def test_positions_on_the_sky_come_from_the_header() -> None:
    frame = simulated_frame("cutout-test", 0).frame
    cutout = cutouts_of(frame)[0]
    wcs: WCS = frame.wcs
    x, y = wcs.world_to_pixel_values(cutout.ra_deg, cutout.dec_deg)
    assert (x, y) == pytest.approx((cutout.x, cutout.y), abs=1e-6)
    assert cutouts_of(starry())[0].ra_deg is None


def test_the_share_of_light_on_cosmic_rays_by_hand() -> None:
    light = np.array([[1.0, -5.0], [3.0, 4.0]], dtype=np.float32)
    struck = np.array([[False, True], [True, False]])
    assert cosmic_ray_share(light, struck) == pytest.approx(3 / 8)
    assert cosmic_ray_share(-np.abs(light), struck) == 0


def test_sources_are_found_on_the_cleaned_frame() -> None:
    frame = starry()
    struck = np.zeros((96, 96), np.bool_)
    struck[70:75, 20:25] = True
    dirty = frame.pixels + np.where(struck, np.float32(3000), 0)
    spoiled = Frame.of(dirty, ORIGIN)
    assert len(cutouts_of(spoiled)) == 3
    cleaned = cutouts_of(spoiled, cosmic_rays=hits(spoiled, struck, frame.pixels))
    assert len(cleaned) == 2
    assert [cutout.cosmic_ray_share for cutout in cleaned] == [0.0, 0.0]


def test_a_source_that_is_a_hit_carries_its_share() -> None:
    frame = starry()
    struck = np.zeros((96, 96), np.bool_)
    struck[40:61, 30:51] = True
    shares = [
        c.cosmic_ray_share for c in cutouts_of(frame, cosmic_rays=hits(frame, struck, frame.pixels))
    ]
    assert shares == [pytest.approx(1.0, abs=0.02), 0.0]


def test_a_whole_image_fills_its_bad_pixels() -> None:
    pixels = np.random.default_rng(2).uniform(0, 1, (40, 60)).astype(np.float32)
    pixels[3, 4] = np.nan
    cutout = whole_image(Frame.of(pixels, ORIGIN))
    assert np.isfinite(cutout.pixels).all()
    assert (cutout.kind, cutout.size_px, cutout.flux) == ("image", 60, None)
