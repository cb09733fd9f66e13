"""The stretch and the resizing that embedders see."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomalies.cutouts import Cutout
from engine.anomalies.preprocessing import (
    PREPROCESSING,
    PREPROCESSING_DIGEST,
    embedder_input,
    resize_weights,
    stretch,
)


def cutout(pixels: np.ndarray, **changes: object) -> Cutout:
    plain = Cutout("source", 0, 0, 8, pixels.astype(np.float32), 10.0, 2.0, 100.0, stretched=False)
    return replace(plain, **changes)


def test_the_stretch_by_hand() -> None:
    shown = stretch(cutout(np.array([[10.0, 110.0], [-40.0, 14.0]])))
    mid = np.arcsinh(1.0) / np.arcsinh(25.0)
    np.testing.assert_allclose(shown, [[0, 1], [0, mid]], rtol=1e-6)


def test_a_faint_peak_is_not_stretched_to_full_white() -> None:
    shown = stretch(cutout(np.array([[10.0, 16.0]]), peak=6.0))
    assert shown.max() == pytest.approx(np.arcsinh(1.5) / np.arcsinh(5.0))


def test_pictures_are_divided_by_255() -> None:
    shown = stretch(cutout(np.array([[0.0, 51.0], [255.0, 102.0]]), stretched=True))
    np.testing.assert_allclose(shown, [[0, 0.2], [1, 0.4]])


def test_an_image_without_contrast_becomes_black() -> None:
    flat = cutout(np.zeros((30, 30)), level=0.0, noise=0.0, peak=0.0)
    images = embedder_input([flat])
    assert images.shape == (1, 3, 160, 160)
    assert not images.any()


@settings(deadline=None, max_examples=40)
@given(st.integers(16, 500), st.integers(16, 500), st.sampled_from([1, 2, 3, 5]))
def test_any_shape_becomes_three_planes_in_range(height: int, width: int, planes: int) -> None:
    pixels = np.random.default_rng(height).normal(20, 30, (planes, height, width))
    images = embedder_input([cutout(pixels if planes > 1 else pixels[0])])
    assert images.shape == (1, 3, 160, 160)
    assert images.dtype == np.float32
    assert 0 <= images.min() <= images.max() <= 1


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 200))
def test_resizing_keeps_the_mean_level(length: int, side: int) -> None:
    weights = resize_weights(length, side)
    assert weights.shape == (side, length)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_the_digest_covers_the_stated_rule() -> None:
    assert hashlib.sha256(PREPROCESSING.encode()).hexdigest() == PREPROCESSING_DIGEST
    assert "asinh((v - level) / (2 noise))" in PREPROCESSING
