"""Error maps: calibrated on some frames, kept on others, and honest about their limits."""

from __future__ import annotations

import numpy as np
import pytest

from engine.codec.decoding import Decoded, decode
from engine.codec.encoding import encode
from engine.codec.errormaps import MAPS, ErrorCalibration, error_maps, fit_error_calibration
from engine.codec.model import CodecModel
from engine.codec.photometry import photometry_report
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import sparsification_error
from engine.errors import CalibrationError
from engine.frame import Frame, Origin
from engine.sky import terrain


def coded(seed: int, model: CodecModel, bpp: float) -> tuple[Frame, Decoded]:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.1, 1.0, 96)[None]
    pixels = np.rint(128 + (terrain(rng, (96, 96)) - 128) * ramp).clip(0, 255).astype(np.uint8)
    frame = Frame.of(pixels, Origin("test", f"{seed}"))
    return frame, decode(encode(frame, RateTarget(bpp=bpp), model), model)


@pytest.fixture(scope="module")
def calibration(tiny_model: CodecModel) -> ErrorCalibration:
    pairs = [coded(seed, tiny_model, bpp) for seed in range(12) for bpp in (1.0, 1.5, 2.0)]
    return fit_error_calibration(pairs, np.random.default_rng(0), samples=4)


def test_nine_tenths_of_new_pixels_lie_within_the_bound(
    calibration: ErrorCalibration, tiny_model: CodecModel
):
    inside = []
    for seed in range(20, 28):
        frame, decoded = coded(seed, tiny_model, 1.5)
        made = error_maps(decoded, calibration, np.random.default_rng(1))
        assert set(made) == set(MAPS)
        error = np.abs(decoded.pixels - frame.pixels)
        inside.append([(error <= made[name].half_width).mean() for name in MAPS])
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.9, atol=0.04)


def test_a_calibration_survives_its_card(calibration: ErrorCalibration):
    assert ErrorCalibration.from_dict(calibration.as_dict()) == calibration
    with pytest.raises(CalibrationError, match="train codec --calibrate"):
        ErrorCalibration.from_dict({})


def test_too_few_frames_are_refused(tiny_model: CodecModel):
    with pytest.raises(CalibrationError, match="at least 4 frames, got 1"):
        fit_error_calibration([coded(0, tiny_model, 1.0)], np.random.default_rng(0))


def test_lost_tiles_are_never_safe(calibration: ErrorCalibration, tiny_model: CodecModel):
    frame, _ = coded(30, tiny_model, 2.0)
    data = encode(frame, RateTarget(bpp=2.0), tiny_model, tile=64)
    torn = decode(data[: int(0.7 * len(data))], tiny_model)
    assert torn.lost_tiles
    found = error_maps(torn, calibration, np.random.default_rng(0), ["closed_form"])
    safe = found["closed_form"].safe(1e9)
    for lost in torn.lost_tiles:
        _, rows, columns = torn.header.place(lost)
        assert not safe[rows, columns].any()
    assert safe.any()


def test_the_true_order_has_no_sparsification_error_and_its_reverse_more_than_chance():
    rng = np.random.default_rng(2)
    blocks = rng.uniform(0.5, 3.0, (6, 6))
    error = blocks.repeat(32, axis=0).repeat(32, axis=1).astype(np.float32)
    assert sparsification_error(error, error) == pytest.approx(0.0, abs=1e-9)
    assert sparsification_error(1 / error, error) > 1.0
    flat = rng.permutation(blocks.ravel()).reshape(6, 6).repeat(32, axis=0).repeat(32, axis=1)
    assert 0.0 < sparsification_error(flat.astype(np.float32), error) < 2.0


def test_photometry_sees_lost_sources_and_dimmed_ones():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:120, :120]
    sky = rng.normal(100.0, 3.0, (120, 120))
    stars = np.zeros_like(sky)
    for cy, cx in ((30, 30), (30, 90), (90, 30), (90, 90)):
        stars += 200 * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / 1.0)
    raw = (sky + stars).astype(np.float32)
    same = photometry_report(raw, raw)
    assert (same.sources, same.recall, same.spurious, same.flux_bias) == (4, 1.0, 0.0, 0.0)
    dimmed = photometry_report(raw, (sky + 0.9 * stars).astype(np.float32))
    assert dimmed.flux_bias == pytest.approx(-0.1, abs=0.02)
    gone = stars * (x < 60)
    assert photometry_report(raw, (sky + gone).astype(np.float32)).recall == 0.5
