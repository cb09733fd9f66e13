"""A decoded frame is judged with the noise that its coding took."""

from __future__ import annotations

import numpy as np

from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.judging import with_noise
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import predicted_rmse
from engine.frame import Frame, Origin
from engine.sky import terrain

ORIGIN = Origin("test", "received")


def picture() -> Frame:
    pixels = np.rint(terrain(np.random.default_rng(3), (96, 128))).astype(np.uint8)
    return Frame.of(pixels, ORIGIN)


def test_the_noise_is_as_large_as_the_entropy_model_predicts(tiny_model: CodecModel) -> None:
    decoded = decode(encode(picture(), RateTarget(bpp=0.5), tiny_model), tiny_model)
    added = with_noise(decoded, ORIGIN, seed=1).pixels - decoded.pixels
    drawn = added / predicted_rmse(decoded)
    assert abs(drawn.mean()) < 0.04  # 4 sigma of the mean of 12,288 draws
    assert abs(drawn.std() - 1) < 0.03
    again = with_noise(decoded, ORIGIN, seed=1).pixels
    np.testing.assert_array_equal(again, with_noise(decoded, ORIGIN, seed=1).pixels)
    assert not np.array_equal(again, with_noise(decoded, ORIGIN, seed=2).pixels)


def test_a_lossless_frame_is_judged_as_it_is(tiny_model: CodecModel) -> None:
    decoded = decode(encode(picture(), RateTarget(lossless=True)))
    np.testing.assert_array_equal(with_noise(decoded, ORIGIN).pixels, decoded.pixels)
