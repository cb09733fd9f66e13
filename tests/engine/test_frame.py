from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.errors import EmptyFrame, FrameError
from engine.frame import Frame, Origin

ORIGIN = Origin(source="test", object_id="one")

pictures = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.floats(-1000, 1000, width=32),
)


def test_pixels_that_are_not_finite_are_masked() -> None:
    frame = Frame.of(np.array([[1.0, np.nan], [np.inf, 4.0]]), ORIGIN)
    assert frame.mask.tolist() == [[False, True], [True, False]]


def test_a_colour_pixel_is_bad_when_one_plane_is() -> None:
    pixels = np.ones((3, 2, 2))
    pixels[1, 0, 1] = np.nan
    assert Frame.of(pixels, ORIGIN).mask.tolist() == [[False, True], [False, False]]


def test_a_given_mask_is_joined_with_what_is_not_finite() -> None:
    mask = np.array([[True, False], [False, False]])
    frame = Frame.of(np.array([[1.0, np.nan], [3.0, 4.0]]), ORIGIN, mask=mask)
    assert frame.mask.tolist() == [[True, True], [False, False]]


def test_filled_takes_the_median_of_the_good_pixels() -> None:
    frame = Frame.of(np.array([[1.0, np.nan], [3.0, 8.0]]), ORIGIN)
    assert frame.filled().tolist() == [[1.0, 3.0], [3.0, 8.0]]
    assert frame.filled(0.0)[0, 1] == 0.0


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2, 2), (0, 3)])
def test_only_images_and_cubes_of_planes_are_frames(shape: tuple[int, ...]) -> None:
    with pytest.raises(FrameError, match="must have shape"):
        Frame.of(np.zeros(shape), ORIGIN, mask=np.zeros(shape[-2:], dtype=bool))


def test_other_dtypes_and_masks_are_refused() -> None:
    good = np.zeros((2, 2), dtype=np.float32)
    clear = np.zeros((2, 2), dtype=bool)
    with pytest.raises(FrameError, match="must be float32, got float64"):
        Frame(good.astype(np.float64), clear, "", ORIGIN)
    with pytest.raises(FrameError, match=r"mask must be bool of shape \(2, 2\)"):
        Frame(good, clear[:1], "", ORIGIN)
    with pytest.raises(FrameError, match="must be True in the mask"):
        Frame(good * np.float32(np.nan), clear, "", ORIGIN)


def test_a_frame_without_a_good_pixel_is_empty() -> None:
    with pytest.raises(EmptyFrame, match="no finite pixel"):
        Frame.of(np.full((3, 3), np.nan), ORIGIN)


def test_pixels_and_mask_cannot_be_written() -> None:
    frame = Frame.of(np.zeros((2, 2)), ORIGIN)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        frame.mask[0, 0] = True


def test_making_a_frame_leaves_the_given_array_alone() -> None:
    given_pixels = np.zeros((2, 2), dtype=np.float32)
    Frame.of(given_pixels, ORIGIN)
    given_pixels[0, 0] = 1.0
    assert given_pixels[0, 0] == 1.0


@pytest.mark.parametrize(
    ("dtype", "bits"), [("uint8", 8), ("int16", 16), ("uint16", 16), (">f4", 32), ("float64", 64)]
)
def test_sample_bits_are_those_of_the_stored_samples(dtype: str, bits: int) -> None:
    assert Frame.of(np.ones((2, 2), dtype=dtype), ORIGIN).sample_bits == bits


@given(pictures)
def test_digest_depends_on_content_and_nothing_else(pixels: np.ndarray) -> None:
    frame = Frame.of(pixels, ORIGIN)
    elsewhere = Frame.of(pixels.copy(), Origin("other", "two"), header="OBJECT  = 'M31'")
    assert frame.digest == elsewhere.digest
    assert len(frame.digest) == 64


@given(pictures, st.data())
def test_digest_changes_with_any_pixel(pixels: np.ndarray, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, pixels.shape[0] - 1))
    column = data.draw(st.integers(0, pixels.shape[1] - 1))
    changed = pixels.copy()
    changed[row, column] += 2000.0
    assert Frame.of(pixels, ORIGIN).digest != Frame.of(changed, ORIGIN).digest


@given(st.floats(width=32))
def test_digest_ignores_what_lies_under_the_mask(hidden: float) -> None:
    mask = np.array([[True, False]])
    pixels = np.array([[hidden, 1.0]], dtype=np.float32)
    reference = Frame.of(np.array([[0.0, 1.0]]), ORIGIN, mask=mask, sample_type="float32")
    assert Frame.of(pixels, ORIGIN, mask=mask).digest == reference.digest


def test_digest_tells_shape_unit_mask_and_sample_type_apart() -> None:
    flat = np.arange(6, dtype=np.float32)
    frames = [
        Frame.of(flat.reshape(2, 3), ORIGIN),
        Frame.of(flat.reshape(3, 2), ORIGIN),
        Frame.of(flat.reshape(1, 2, 3), ORIGIN),
        Frame.of(flat.reshape(2, 3), ORIGIN, unit="electron"),
        Frame.of(flat.reshape(2, 3), ORIGIN, sample_type="uint8"),
        Frame.of(flat.reshape(2, 3), ORIGIN, mask=np.eye(2, 3, dtype=bool)),
    ]
    assert len({frame.digest for frame in frames}) == len(frames)


def test_a_header_without_sky_coordinates_gives_no_wcs() -> None:
    pixels = np.zeros((2, 2))
    assert Frame.of(pixels, ORIGIN).wcs is None
    assert Frame.of(pixels, ORIGIN, header=f"{'OBJECT  = ' + repr('M31'):80}").wcs is None


def test_with_pixels_keeps_mask_and_origin() -> None:
    frame = Frame.of(np.array([[1.0, np.nan]]), ORIGIN, unit="adu")
    other = frame.with_pixels(np.array([[5.0, 6.0]], dtype=np.float32))
    assert (other.unit, other.origin) == ("adu", ORIGIN)
    assert other.mask.tolist() == [[False, True]]
