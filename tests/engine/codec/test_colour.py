"""Colour is coded as luma and differences, and comes back as colour."""

from __future__ import annotations

import numpy as np
import pytest

from engine.codec.colour import ERROR_GAIN, from_luma, squared_errors, to_luma
from engine.codec.container import read_header
from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.errormaps import fit_error_calibration
from engine.codec.model import CodecModel
from engine.codec.progressive import in_pieces
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import dropout_deviation, predicted_rmse
from engine.errors import CalibrationError
from engine.frame import Frame, Origin
from engine.metrics.image import psnr_db

ORIGIN = Origin("test", "colour")


@pytest.fixture
def coloured(ground: Frame) -> Frame:
    grey = ground.pixels
    planes = np.stack([grey, grey * 0.8 + 20, 255 - grey])
    return Frame.of(np.rint(planes).astype(np.uint8), ORIGIN)


def test_luma_and_differences_by_hand():
    pixel = np.array([100.0, 60.0, 20.0])[:, None, None]
    assert to_luma(pixel).ravel() == pytest.approx([60.0, 40.0, 0.0])
    np.testing.assert_allclose(from_luma(to_luma(pixel)), pixel)


def test_errors_spread_as_the_planes_do():
    rng = np.random.default_rng(0)
    deviations = np.array([1.0, 2.0, 0.5])[:, None, None]
    noise = rng.normal(size=(3, 200, 200)) * deviations
    spread = squared_errors(np.broadcast_to(deviations**2, (3, 1, 1)))[:, 0, 0]
    assert np.square(from_luma(noise)).mean(axis=(1, 2)) == pytest.approx(spread, rel=0.03)
    assert squared_errors(np.ones((3, 1, 1))).mean() == pytest.approx(ERROR_GAIN)


def test_a_colour_frame_keeps_its_budget_and_its_colours(coloured: Frame, tiny_model: CodecModel):
    data = encode(coloured, RateTarget(bpp=2.0), tiny_model)
    assert read_header(data)[0].luma
    assert len(data) <= 2.0 * coloured.pixels.size / 8
    decoded = decode(data, tiny_model)
    assert decoded.pixels.shape == coloured.pixels.shape
    assert psnr_db(coloured.pixels, decoded.pixels, 255.0) > 24
    for found in (predicted_rmse(decoded), dropout_deviation(decoded, 2, np.random.default_rng(0))):
        assert found.shape == coloured.mask.shape
        assert (found > 0).all()


def test_a_psnr_of_colour_is_reached(coloured: Frame, tiny_model: CodecModel):
    decoded = decode(encode(coloured, RateTarget(psnr_db=32.0), tiny_model), tiny_model)
    assert 32.0 <= psnr_db(coloured.pixels, decoded.pixels, 255.0) < 33.5


def test_planes_that_are_not_colour_stay_planes(ground: Frame, tiny_model: CodecModel):
    planes = np.stack([ground.pixels] * 3).astype(np.uint16)
    for frame in (Frame.of(planes, ORIGIN), Frame.of(ground.pixels, ORIGIN)):
        assert not read_header(encode(frame, RateTarget(bpp=1.5), tiny_model))[0].luma


def test_too_few_frames_calibrate_nothing(coloured: Frame, tiny_model: CodecModel):
    decoded = decode(encode(coloured, RateTarget(bpp=1.0), tiny_model), tiny_model)
    with pytest.raises(CalibrationError, match="at least 4 frames, got 1"):
        fit_error_calibration([(coloured, decoded)], np.random.default_rng(0))


def test_colour_goes_down_in_layers_as_luma_and_differences(
    coloured: Frame, tiny_model: CodecModel
):
    made = in_pieces(coloured, tiny_model, base_bpp=0.6, full_bpp=2.0, side=32, tile=64)
    header, _ = read_header(made.whole)
    assert header.luma
    base = made.head + b"".join(piece.content for piece in made.pieces if piece.is_base)
    errors = [
        float(np.square(decode(data, tiny_model).pixels - coloured.pixels).sum())
        for data in (base, made.whole)
    ]
    assert errors[1] < 0.7 * errors[0]
    assert made.full_error == pytest.approx(errors[1], rel=0.05)
    refined = sum(piece.saved for piece in made.pieces if not piece.is_base)
    assert refined == pytest.approx(errors[0] - errors[1], rel=0.4)
