"""JPEG, JPEG 2000, JPEG XL and HCOMPRESS on 8-bit grey pixels: each with one knob."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from astropy.io.fits.hdu.compressed._codecs import HCompress1
from numpy.typing import NDArray
from PIL import Image

from engine.frame import Frame
from engine.metrics.image import gradient_error, ms_ssim, psnr_db

SEARCH_STEPS = 12
PEAK = 255.0
LARGEST_HCOMPRESS_SCALE = 400

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Baseline:
    """A classic codec with one knob in [0, 1] that makes files larger."""

    encode: Callable[[Grey, float], bytes]
    decode: Callable[[bytes, tuple[int, ...]], Grey]


def coded_within(baseline: Baseline, frame: Frame, rate: float) -> dict[str, float]:
    """The largest file within the rate, decoded and measured; the smallest where none fits."""
    pixels = frame.pixels.astype(np.uint8)
    budget = rate * pixels.size / 8
    low, high, best = 0.0, 1.0, baseline.encode(pixels, 0.0)
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        coded = baseline.encode(pixels, middle)
        if len(coded) <= budget:
            low, best = middle, coded if len(coded) >= len(best) else best
        else:
            high = middle
    return measured(frame, baseline.decode(best, pixels.shape), len(best))


def measured(frame: Frame, decoded: NDArray[Any], size: int) -> dict[str, float]:
    """Rate and quality of a decoded 8-bit frame whose file holds `size` bytes."""
    pixels = decoded.astype(np.float32)
    return {
        "bpp": 8 * size / frame.pixels.size,
        "psnr_db": psnr_db(frame.pixels, pixels, PEAK),
        "ms_ssim": ms_ssim(frame.pixels, pixels, PEAK),
        "gradient_error": gradient_error(frame.pixels, pixels),
    }


def _jpeg(pixels: Grey, knob: float) -> bytes:
    stream = io.BytesIO()
    quality = round(1 + 94 * knob)
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True, progressive=True)
    return stream.getvalue()


def _jpeg2000(pixels: Grey, knob: float) -> bytes:
    level: Any = 10.0 + 55.0 * knob
    coded = imagecodecs.jpeg2k_encode(
        pixels, level=level, codecformat="j2k", reversible=False, numthreads=1
    )
    return bytes(coded)


def _jpeg_xl(pixels: Grey, knob: float) -> bytes:
    distance = 25.0 * (0.05 / 25.0) ** knob
    coded = imagecodecs.jpegxl_encode(
        pixels, distance=distance, effort=5, lossless=False, numthreads=1
    )
    return bytes(coded)


def _hcompress(pixels: Grey, knob: float) -> bytes:
    """The bare stream of the FITS codec, the whole image as one tile."""
    scale = round(LARGEST_HCOMPRESS_SCALE ** (1.0 - knob))
    coder = _hcompress_coder(pixels.shape, scale)
    return bytes(coder.encode(pixels.astype(np.int32)))


def _from_hcompress(coded: bytes, shape: tuple[int, ...]) -> Grey:
    found = np.asarray(_hcompress_coder(shape, 1).decode(np.frombuffer(coded, np.uint8))).reshape(
        shape
    )
    return np.asarray(np.clip(found, 0, 255), np.uint8)


def _hcompress_coder(shape: tuple[int, ...], scale: int) -> HCompress1:
    return HCompress1(scale=scale, smooth=True, bytepix=4, nx=shape[0], ny=shape[1])


BASELINES = {
    "jpeg": Baseline(_jpeg, lambda coded, _: np.asarray(Image.open(io.BytesIO(coded)))),
    "jpeg2000": Baseline(
        _jpeg2000, lambda coded, _: imagecodecs.jpeg2k_decode(coded, numthreads=1)
    ),
    "jpegxl": Baseline(_jpeg_xl, lambda coded, _: imagecodecs.jpegxl_decode(coded, numthreads=1)),
    "hcompress": Baseline(_hcompress, _from_hcompress),
}
