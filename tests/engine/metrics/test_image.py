"""Image figures against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.frame import Frame, Origin
from engine.metrics.image import SCALE_WEIGHTS, gradient_error, ms_ssim, peak_of, psnr_db, rmse


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (180, 190)).astype(np.float32)


def test_rmse_and_psnr_by_hand():
    original = np.array([[10.0, 20.0], [30.0, 40.0]])
    decoded = original + np.array([[3.0, -3.0], [3.0, -3.0]])
    assert rmse(original, decoded) == 3.0
    assert psnr_db(original, decoded, 255.0) == pytest.approx(20 * math.log10(255 / 3))
    assert psnr_db(original, decoded, 255.0) == pytest.approx(38.58838, abs=1e-5)


def test_equal_images_have_infinite_psnr():
    assert psnr_db(np.ones((3, 3)), np.ones((3, 3)), 255.0) == math.inf


def test_bad_pixels_count_in_no_error():
    original, decoded = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
    decoded[:, 1, 1] = 100.0
    good = np.ones((3, 3), bool)
    good[1, 1] = False
    assert rmse(original, decoded, good=good) == 0.0
    assert gradient_error(original, decoded, good=good) == 0.0
    assert rmse(original, decoded) == pytest.approx(100 / 3)


def test_a_ramp_of_error_has_its_slope_as_gradient_error():
    """Up to the rim, where the mirrored edge halves it."""
    rows, columns = np.mgrid[0:50.0, 0:50.0]
    ramp = 3.0 * columns + 4.0 * rows
    assert gradient_error(np.zeros((50, 50)), ramp) == pytest.approx(5.0, rel=0.05)


def test_the_gradient_error_of_one_wrong_pixel_by_hand():
    decoded = np.zeros((9, 9))
    decoded[4, 4] = 8.0
    # Sobel of a spike holds 1, 2, 1 twice in each direction: 2 * 2 * (1 + 4 + 1) = 24
    assert gradient_error(np.zeros((9, 9)), decoded) == pytest.approx(math.sqrt(24 / 81))


def test_planes_do_not_mix_in_the_gradient():
    decoded = np.zeros((3, 9, 9))
    decoded[1, 4, 4] = 8.0
    assert gradient_error(np.zeros((3, 9, 9)), decoded) == pytest.approx(math.sqrt(24 / 243))


def test_ms_ssim_of_an_image_with_itself_is_one(texture: np.ndarray):
    assert ms_ssim(texture, texture, 255.0) == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_of_two_constants_by_hand():
    """Contrast terms are 1; only the luminance of the coarsest scale remains."""
    first, second = np.full((176, 176), 100.0), np.full((176, 176), 120.0)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ms_ssim(first, second, 255.0) == pytest.approx(luminance ** SCALE_WEIGHTS[4])


def test_small_images_use_fewer_scales_with_weights_that_sum_to_one():
    first, second = np.full((16, 16), 100.0), np.full((16, 16), 120.0)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    assert ms_ssim(first, second, 255.0) == pytest.approx(luminance)


def test_ms_ssim_averages_planes(texture: np.ndarray):
    noisy = texture + np.random.default_rng(1).normal(0, 40, texture.shape)
    alone = ms_ssim(texture, noisy, 255.0)
    pair = ms_ssim(np.stack([texture, texture]), np.stack([noisy, texture]), 255.0)
    assert pair == pytest.approx((alone + 1) / 2)


def test_ms_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="at least 11 pixels, got 10"):
        ms_ssim(np.ones((10, 50)), np.ones((10, 50)), 1.0)


@settings(deadline=None, max_examples=20)
@given(st.floats(1.0, 60.0), st.integers(0, 2**31))
def test_ms_ssim_falls_with_noise_and_is_symmetric(sigma: float, seed: int):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (48, 48))
    noise = rng.normal(size=image.shape)
    mild, strong = image + sigma * noise, image + 2 * sigma * noise
    assert ms_ssim(image, strong, 255.0) < ms_ssim(image, mild, 255.0) < 1.0
    assert ms_ssim(mild, image, 255.0) == pytest.approx(ms_ssim(image, mild, 255.0))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must agree in shape"):
        rmse(np.ones((2, 2)), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("kind", "peak"), [("uint8", 255.0), ("uint16", 65535.0), ("float32", 30.0), ("int32", 30.0)]
)
def test_the_peak_is_that_of_the_sample_type_or_the_range(kind: str, peak: float):
    pixels = np.array([[10, 40], [20, 200]]).astype(kind)
    mask = np.array([[False, False], [False, True]])
    assert peak_of(Frame.of(pixels, Origin("test", "peak"), mask=mask)) == peak
