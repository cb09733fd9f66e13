"""The learned codec keeps its budgets, repeats itself, and decodes the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec.container import read_header
from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.errors import BitstreamError, NotApplicable
from engine.frame import Frame, Origin
from engine.metrics.image import psnr_db

ORIGIN = Origin("test", "learned")


def quality(frame: Frame, target: RateTarget, model: CodecModel) -> float:
    return psnr_db(frame.pixels, decode(encode(frame, target, model), model).pixels, 255.0)


@pytest.mark.parametrize("bpp", [0.5, 0.7, 1.0, 3.0])
def test_a_rate_is_never_exceeded_and_nearly_used(
    ground: Frame, tiny_model: CodecModel, bpp: float
):
    coded = encode(ground, RateTarget(bpp=bpp), tiny_model, tile=64)
    budget = bpp * ground.pixels.size / 8
    assert 0.85 * budget < len(coded) <= budget


def test_more_bytes_buy_quality(ground: Frame, tiny_model: CodecModel):
    reached = [quality(ground, RateTarget(bpp=bpp), tiny_model) for bpp in (0.5, 0.8, 1.4, 2.4)]
    assert reached == sorted(reached)
    assert reached[-1] > reached[0] + 5


def test_a_wanted_psnr_is_reached_and_not_overshot(ground: Frame, tiny_model: CodecModel):
    assert 30.0 <= quality(ground, RateTarget(psnr_db=30.0), tiny_model) < 31.0


def test_a_psnr_beyond_reach_is_refused(ground: Frame, tiny_model: CodecModel):
    with pytest.raises(NotApplicable, match="does not reach 90"):
        encode(ground, RateTarget(psnr_db=90.0), tiny_model)


def test_a_budget_below_the_header_is_refused(ground: Frame, tiny_model: CodecModel):
    with pytest.raises(NotApplicable, match="40 bytes do not hold this frame"):
        encode(ground, RateTarget(bytes=40), tiny_model)


@settings(deadline=None, max_examples=15)
@given(
    shape=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    kind=st.sampled_from(["uint8", "int16", "uint16", "float32", "float64", "int32"]),
    planes=st.sampled_from([0, 1, 3]),
    seed=st.integers(0, 2**31),
)
def test_any_shape_and_type_fits_its_budget_and_keeps_its_form(
    tiny_model: CodecModel, shape: tuple[int, int], kind: str, planes: int, seed: int
):
    rng = np.random.default_rng(seed)
    full = (planes, *shape) if planes else shape
    pixels = (rng.gamma(1.0, 20.0, full)).clip(0, 255).astype(kind)
    frame = Frame.of(pixels, ORIGIN)
    coded = encode(frame, RateTarget(bpp=4.0), tiny_model, tile=32)
    decoded = decode(coded, tiny_model)
    assert len(coded) <= 4.0 * pixels.size / 8
    assert (decoded.pixels.shape, decoded.samples().dtype.kind) == (full, pixels.dtype.kind)
    assert decoded.valid.all()
    assert np.abs(decoded.pixels - frame.pixels).max() <= float(np.ptp(frame.pixels)) + 1


def test_sides_below_sixteen_pixels_do_not_apply(tiny_model: CodecModel):
    frame = Frame.of(np.ones((15, 40), np.uint8), ORIGIN)
    with pytest.raises(NotApplicable, match="at least 16 pixels, got 15 x 40"):
        encode(frame, RateTarget(bpp=8.0), tiny_model)


def test_a_constant_frame_survives(tiny_model: CodecModel):
    frame = Frame.of(np.full((32, 32), 7.5, np.float32), ORIGIN)
    decoded = decode(encode(frame, RateTarget(bpp=2.0), tiny_model), tiny_model)
    np.testing.assert_allclose(decoded.pixels, 7.5, atol=1e-6)


def test_stars_stay_within_the_range_of_the_frame(tiny_model: CodecModel):
    pixels = np.random.default_rng(0).normal(100, 5, (64, 64)).astype(np.float32)
    pixels[20:23, 30:33] = 40_000.0
    frame = Frame.of(pixels, ORIGIN, unit="electron")
    decoded = decode(encode(frame, RateTarget(bpp=2.0), tiny_model), tiny_model)
    assert decoded.header.mapping.kind == "asinh"
    assert decoded.pixels.min() >= pixels.min() - 1e-2
    assert decoded.pixels.max() <= pixels.max() * (1 + 1e-5)
    assert decoded.unit == "electron"


def test_bad_pixels_come_back_as_bad(ground: Frame, tiny_model: CodecModel):
    pixels = ground.pixels.copy()
    pixels[3:9, 10] = np.nan
    frame = Frame.of(pixels, ORIGIN)
    decoded = decode(encode(frame, RateTarget(bpp=2.0), tiny_model), tiny_model)
    np.testing.assert_array_equal(decoded.bad, frame.mask)


def test_the_cards_that_place_a_frame_travel_first(ground: Frame, tiny_model: CodecModel):
    rng = np.random.default_rng(0)
    history = "".join(f"{f'HISTORY {rng.integers(2**60)}':<80}" for _ in range(200))
    place = f"{'CRVAL1  =                 83.6':<80}{'OBJECT  = ' + repr('M 31 / core'):<80}"
    noted = place.replace("83.6    ", "83.6 / x")
    frame = Frame.of(ground.pixels, ORIGIN, header=history + noted)
    lossy = decode(encode(frame, RateTarget(bytes=2000), tiny_model), tiny_model)
    assert (lossy.cards, lossy.header.essential_cards) == (place, True)
    whole = decode(encode(frame, RateTarget(lossless=True)))
    assert (whole.cards, whole.header.essential_cards) == (frame.header, False)


def test_the_encoder_gives_the_same_bytes_for_any_thread_count(
    ground: Frame, tiny_model: CodecModel
):
    before = torch.get_num_threads()
    coded = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        coded.append(encode(ground, RateTarget(bpp=1.0), tiny_model, tile=64))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert coded[0] == coded[1] == coded[2]


@pytest.mark.slow
def test_another_process_decodes_the_same_pixels(
    tmp_path: Path, ground: Frame, tiny_model: CodecModel, tiny_stored: bytes
):
    coded = encode(ground, RateTarget(bpp=1.0), tiny_model, tile=64)
    (tmp_path / "model").write_bytes(tiny_stored)
    (tmp_path / "coded").write_bytes(coded)
    script = (
        "import sys, pathlib, numpy, torch; torch.set_num_threads(2)\n"
        "from engine.codec.decoding import decode; from engine.codec.model import CodecModel\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "model = CodecModel.from_bytes((here / 'model').read_bytes())\n"
        "numpy.save(here / 'out', decode((here / 'coded').read_bytes(), model).pixels)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), decode(coded, tiny_model).pixels)


def test_bands_of_rows_join_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, tiny_model: CodecModel
):
    tall = np.random.default_rng(1).integers(0, 255, (400, 40)).astype(np.uint8)
    frame = Frame.of(tall, ORIGIN)
    target = RateTarget(bpp=2.0)
    whole = decode(encode(frame, target, tiny_model), tiny_model)
    monkeypatch.setattr("engine.codec.transform.BAND", 6)
    banded = decode(encode(frame, target, tiny_model), tiny_model)
    assert np.abs(whole.pixels - banded.pixels).max() <= 1


def test_bands_of_columns_join_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, tiny_model: CodecModel
):
    wide = np.random.default_rng(1).integers(0, 255, (40, 400)).astype(np.uint8)
    coded = encode(Frame.of(wide, ORIGIN), RateTarget(bpp=2.0), tiny_model)
    whole = decode(coded, tiny_model)
    monkeypatch.setattr("engine.codec.transform.WIDE_BAND", 7)
    assert np.abs(whole.pixels - decode(coded, tiny_model).pixels).max() <= 1


def test_the_file_names_its_model(ground: Frame, tiny_model: CodecModel):
    coded = encode(ground, RateTarget(bpp=1.0), tiny_model)
    assert read_header(coded)[0].model == bytes.fromhex(tiny_model.digest)[:8]
    with pytest.raises(BitstreamError, match="coded with model"):
        decode(coded)


@pytest.mark.parametrize(
    "wishes",
    [{}, {"bpp": 1.0, "near": 2}, {"bpp": -1.0}, {"near": 256}, {"psnr_db": float("inf")}],
)
def test_impossible_wishes_are_refused(wishes: dict[str, float]):
    with pytest.raises(ValueError, match=r"exactly one of|must be"):
        RateTarget(**wishes)
