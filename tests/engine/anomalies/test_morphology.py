"""Morphology on shapes whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomalies.embedders import morphology
from engine.anomalies.embedders.morphology import SIDE, MorphologyEmbedder


def disc(x: float = 39.5, y: float = 39.5, a: float = 8.0, b: float = 8.0) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.exp(-(((columns - x) / a) ** 2) - ((rows - y) / b) ** 2)[None]


def test_gini_of_equal_and_of_one_pixel() -> None:
    single = np.zeros((1, SIDE, SIDE))
    single[0, 5, 6] = 3.0
    assert morphology.gini(np.ones((1, SIDE, SIDE)))[0] == pytest.approx(0.0, abs=1e-9)
    assert morphology.gini(single)[0] == pytest.approx(1.0)


def test_asymmetry_of_a_round_and_of_a_one_sided_source() -> None:
    assert morphology.asymmetry(disc())[0] == pytest.approx(0.0, abs=1e-9)
    assert morphology.asymmetry(disc(x=15))[0] == pytest.approx(1.0, abs=0.01)


def test_smoothness_tells_clumps_from_a_smooth_source() -> None:
    clumpy = disc() * (np.indices((SIDE, SIDE)).sum(axis=0) % 2)
    assert morphology.smoothness(clumpy)[0] > 5 * morphology.smoothness(disc())[0]


def test_concentration_of_a_gaussian() -> None:
    r20, r80 = 8 * np.sqrt(-np.log(0.8)), 8 * np.sqrt(-np.log(0.2))
    expected = 5 * np.log10((r80 + 0.5) / (r20 + 0.5))
    assert morphology.concentration(disc())[0] == pytest.approx(expected, abs=0.15)


def test_m20_falls_with_the_concentration_of_the_brightest_light() -> None:
    double = disc(x=15) + disc(x=64)
    assert morphology.m20(disc())[0] < morphology.m20(double)[0]


def test_moments_give_size_and_ellipticity_whatever_the_angle() -> None:
    flat, tall = morphology.moments(disc(a=12, b=4)), morphology.moments(disc(a=4, b=12))
    assert flat[0, 1] == pytest.approx((144 - 16) / (144 + 16), abs=0.01)
    assert flat[0, 0] == pytest.approx(np.sqrt((144 + 16) / 2) / SIDE, rel=0.02)
    np.testing.assert_allclose(flat, tall, atol=1e-6)


def test_a_bar_has_an_even_harmonic_and_no_odd_one() -> None:
    modes = morphology.harmonics(disc(a=16, b=3))[0].reshape(4, 5)
    assert modes[1, 1] > 0.5
    assert modes[0].max() < 0.01


def test_the_vector_is_finite_for_nothing_noise_and_white() -> None:
    images = np.zeros((3, 3, 160, 160), dtype=np.float32)
    images[1] = np.random.default_rng(0).uniform(size=(3, 160, 160))
    images[2] = 1
    vectors = MorphologyEmbedder().embed(images)
    assert vectors.shape == (3, MorphologyEmbedder.dimension)
    assert np.isfinite(vectors).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 200), st.integers(20, 200))
def test_resampling_keeps_the_mean(height: int, width: int) -> None:
    image = np.random.default_rng(height).uniform(size=(1, 3, height, width)).astype(np.float32)
    small = morphology.resample(image, 20)
    assert small.mean() == pytest.approx(float(image.mean()), rel=1e-3)
