"""Lossless loses nothing; near keeps its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.rate import RateTarget
from engine.errors import NotApplicable
from engine.frame import Frame, Origin

ORIGIN = Origin("test", "exact")
SHAPES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
)
INTEGERS = st.sampled_from(["uint8", "int8", "uint16", "int16"])


@settings(deadline=None, max_examples=60)
@given(st.data(), INTEGERS, SHAPES)
def test_lossless_integers_come_back_equal(data: st.DataObject, kind: str, shape: tuple[int, ...]):
    pixels = data.draw(hnp.arrays(kind, shape))
    frame = Frame.of(pixels, ORIGIN, unit="adu", header=f"{'OBJECT  = 1':<80}")
    decoded = decode(encode(frame, RateTarget(lossless=True), tile=32))
    np.testing.assert_array_equal(decoded.samples(), pixels)
    assert decoded.samples().dtype == pixels.dtype
    assert decoded.frame(ORIGIN).digest == frame.digest
    assert (decoded.cards, decoded.lost_tiles) == (frame.header, ())


@settings(deadline=None, max_examples=40)
@given(
    hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32)).filter(
        lambda pixels: bool(np.isfinite(pixels).all(axis=tuple(range(pixels.ndim - 2))).any())
    )
)
def test_lossless_floats_come_back_bit_for_bit(pixels: np.ndarray):
    frame = Frame.of(pixels, ORIGIN)
    decoded = decode(encode(frame, RateTarget(lossless=True), tile=32))
    np.testing.assert_array_equal(decoded.pixels.view(np.uint32), frame.pixels.view(np.uint32))
    np.testing.assert_array_equal(decoded.bad, frame.mask)


@settings(deadline=None, max_examples=60)
@given(st.data(), INTEGERS, SHAPES, st.integers(0, 20))
def test_near_bounds_every_error(data: st.DataObject, kind: str, shape: tuple[int, ...], near: int):
    pixels = data.draw(hnp.arrays(kind, shape))
    frame = Frame.of(pixels, ORIGIN)
    decoded = decode(encode(frame, RateTarget(near=near), tile=32))
    assert np.abs(decoded.pixels - frame.pixels).max() <= near


def test_near_makes_smaller_files_than_lossless(ground: Frame):
    assert len(encode(ground, RateTarget(near=3))) < len(encode(ground, RateTarget(lossless=True)))


def test_near_is_refused_for_floats():
    frame = Frame.of(np.ones((4, 4), np.float32), ORIGIN)
    with pytest.raises(NotApplicable, match="integers of 8 or 16 bits"):
        encode(frame, RateTarget(near=1))


@pytest.mark.parametrize("kind", ["uint32", "int32", "float64"])
def test_wide_samples_are_lossless_as_frames_hold_them(kind: str):
    pixels = np.arange(12, dtype=kind).reshape(3, 4) * 1000
    frame = Frame.of(pixels, ORIGIN)
    decoded = decode(encode(frame, RateTarget(lossless=True)))
    np.testing.assert_array_equal(decoded.pixels, frame.pixels)
    assert decoded.sample_type == kind
