"""Sources on frames with known contents."""

from __future__ import annotations

import numpy as np
import pytest
from photutils.segmentation import SegmentationImage

from engine.anomalies.detection import deblended, estimate_background, find_sources
from engine.frame import Pixels


def sky(rng: np.random.Generator, shape: tuple[int, int] = (256, 256)) -> Pixels:
    ramp = np.linspace(0, 20, shape[1])[None]
    return (200 + ramp + rng.normal(0, 5, shape)).astype(np.float32)


def blob(shape: tuple[int, int], x: float, y: float, sigma: float, flux: float) -> Pixels:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    profile = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return (flux * profile / (2 * np.pi * sigma**2)).astype(np.float32)


def no_mask(image: Pixels) -> np.ndarray:
    return np.zeros(image.shape, dtype=np.bool_)


def test_the_background_follows_a_ramp_and_its_noise_is_the_true_one() -> None:
    image = sky(np.random.default_rng(0))
    background = estimate_background(image, no_mask(image))
    assert background.noise == pytest.approx(5, rel=0.1)
    truth = 200 + np.linspace(0, 20, 256)
    assert np.abs(background.level.mean(axis=0) - truth).max() < 6


def test_sources_come_brightest_first_where_they_were_put() -> None:
    image = sky(np.random.default_rng(1))
    image += blob(image.shape, 30.0, 90.0, 2.0, 9000) + blob(image.shape, 80.5, 40.2, 2.0, 3000)
    found = find_sources(image, no_mask(image), limit=8)
    places = [(source.x, source.y) for source in found.sources]
    np.testing.assert_allclose(places, [(30.0, 90.0), (80.5, 40.2)], atol=0.3)
    assert found.sources[0].flux == pytest.approx(9000, rel=0.12)
    assert found.sources[0].snr > found.sources[1].snr > 8


def test_the_number_of_sources_is_capped_by_signal_to_noise() -> None:
    image = sky(np.random.default_rng(2))
    for step in range(5):
        image += blob(image.shape, 15 + 24 * step, 64.0, 1.8, 2000 + 1000 * step)
    found = find_sources(image, no_mask(image), limit=2)
    assert [round(source.x) for source in found.sources] == [111, 87]


def test_a_large_bright_source_stays_one_source() -> None:
    image = sky(np.random.default_rng(3)) + blob((256, 256), 124, 120, 14.0, 900_000)
    found = find_sources(image, no_mask(image), limit=8)
    assert len(found.sources) == 1
    assert found.sources[0].radius_px > 25


def test_touching_sources_are_told_apart() -> None:
    image = sky(np.random.default_rng(4))
    image += blob(image.shape, 60, 64, 2.0, 9000) + blob(image.shape, 69, 64, 2.0, 7000)
    found = find_sources(image, no_mask(image), limit=8)
    assert sorted(round(source.x) for source in found.sources) == [60, 69]


def test_deblending_keeps_every_pixel_and_numbers_the_parts() -> None:
    light = (blob((64, 64), 26, 30, 3, 900) + blob((64, 64), 38, 34, 3, 600)).astype(np.float64)
    segments = (light > 0.1).astype(np.int32)
    parts = deblended(light, SegmentationImage(segments)).data
    assert set(np.unique(parts)) == {0, 1, 2}
    np.testing.assert_array_equal(parts > 0, segments > 0)
    assert parts[30, 26] != parts[34, 38]


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_image_without_noise_has_no_sources(value: float) -> None:
    image = np.full((64, 64), value, dtype=np.float32)
    assert find_sources(image, no_mask(image), limit=8).sources == ()


def test_pixels_under_the_mask_take_no_part() -> None:
    image = sky(np.random.default_rng(5)) + blob((256, 256), 64, 64, 2.0, 9000)
    mask = no_mask(image)
    mask[54:75, 54:75] = True
    image[mask] = np.nan
    assert find_sources(image, mask, limit=8).sources == ()
