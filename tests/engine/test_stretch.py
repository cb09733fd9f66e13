from __future__ import annotations

import io
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from engine.errors import FrameError
from engine.sky import simulated_frame
from engine.stretch import Method, map_png, preview_png, reduced, stretch

METHODS = get_args(Method)


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("method", METHODS)
@given(
    pixels=arrays(np.float32, (6, 7), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_every_stretch_stays_in_range_and_keeps_order(method: Method, pixels: np.ndarray) -> None:
    shown = stretch(pixels, method=method)
    assert shown.dtype == np.float32
    assert shown.min() >= 0
    assert shown.max() <= 1
    order = np.argsort(pixels, axis=None)
    assert (np.diff(shown.ravel()[order]) >= -1e-6).all()


def test_linear_is_by_hand() -> None:
    pixels = np.array([[0.0, 5.0], [10.0, 999.0]], dtype=np.float32)
    mask = np.array([[False, False], [False, True]])
    assert stretch(pixels, mask, "linear").tolist() == [[0.0, 0.5], [1.0, 0.0]]


def test_sqrt_and_asinh_lift_the_faint() -> None:
    pixels = np.linspace(0, 100, 400, dtype=np.float32).reshape(20, 20)
    faint = (2, 0)
    straight = stretch(pixels, None, "percentile")[faint]
    assert stretch(pixels, None, "sqrt")[faint] > 1.5 * straight
    assert stretch(pixels, None, "asinh")[faint] > 1.5 * straight
    assert stretch(pixels, None, "log")[faint] > 1.5 * straight


@pytest.mark.parametrize("method", METHODS)
def test_constant_and_empty_images_are_black(method: Method) -> None:
    assert not stretch(np.full((4, 4), 7.0, dtype=np.float32), None, method).any()
    assert not stretch(np.full((4, 4), np.nan, dtype=np.float32), None, method).any()


def test_colours_share_their_limits() -> None:
    colour = np.zeros((3, 4, 4), dtype=np.float32)
    colour[0], colour[1, 0, 0] = 50.0, 100.0
    shown = stretch(colour, method="linear")
    assert shown[0, 2, 2] == 0.5
    assert shown[2, 2, 2] == 0.0


def test_another_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no stretch 'gamma'"):
        stretch(np.zeros((2, 2), dtype=np.float32), None, "gamma")  # type: ignore[arg-type]


def test_reduction_averages_blocks_of_good_pixels() -> None:
    pixels = np.array([[1.0, 3.0, 10.0], [np.nan, 5.0, 20.0]], dtype=np.float32)
    small = reduced(pixels, 2)
    assert small.tolist() == [[3.0, 15.0]]
    assert reduced(pixels, 3) is pixels
    assert np.isnan(reduced(np.full((4, 4), np.nan, dtype=np.float32), 2)).all()


def test_a_preview_is_small_and_repeats() -> None:
    frame = simulated_frame("demo", 0, size=100).frame
    content = preview_png(frame.pixels, frame.mask, method="asinh", max_side=50)
    assert decoded(content).shape == (50, 50)
    assert decoded(content).std() > 5
    assert content == preview_png(frame.pixels, frame.mask, method="asinh", max_side=50)


def test_a_colour_preview_keeps_colours() -> None:
    colour = np.zeros((3, 8, 8), dtype=np.float32)
    colour[1] = 255.0
    colour[2, 0, 0] = 128.0
    picture = decoded(preview_png(colour))
    assert picture.shape == (8, 8, 3)
    assert picture[4, 4].tolist() == [0, 255, 0]
    assert picture[0, 0].tolist() == [0, 255, 128]


def test_a_map_runs_through_the_palette_between_stated_ends() -> None:
    values = np.array([[-1.0, 0.0, 1.0, 2.0, np.nan]], dtype=np.float32)
    colours = decoded(map_png(values, low=0.0, high=1.0))[0].tolist()
    dark, bright = [0x00, 0x20, 0x4D], [0xFF, 0xEA, 0x46]
    assert colours == [dark, dark, bright, bright, [255, 255, 255]]


@pytest.mark.parametrize("palette", ["cividis", "viridis"])
def test_palettes_grow_lighter_all_the_way(palette: str) -> None:
    ramp = np.linspace(0, 1, 200, dtype=np.float32)[None]
    picture = decoded(map_png(ramp, low=0, high=1, palette=palette))[0]  # type: ignore[arg-type]
    luminance = picture.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1.0).all()
    assert luminance[-1] > luminance[0] + 120


def test_shapes_and_ranges_without_a_picture_are_refused() -> None:
    with pytest.raises(FrameError, match="a preview needs shape"):
        preview_png(np.zeros((4, 5, 5), dtype=np.float32))
    with pytest.raises(FrameError, match="a map needs shape"):
        map_png(np.zeros((3, 5, 5), dtype=np.float32), low=0, high=1)
    with pytest.raises(ValueError, match="high must be above low"):
        map_png(np.zeros((5, 5), dtype=np.float32), low=1, high=1)


def test_limits_of_another_version_make_two_versions_comparable() -> None:
    original = np.arange(100, dtype=np.float32).reshape(10, 10)
    flat = np.full((10, 10), 49.5, dtype=np.float32)
    assert np.allclose(stretch(flat, method="linear", like=original), 0.5)
    assert np.all(stretch(flat, method="linear") == 0)
