"""24-bit colour at half a bit a pixel: 48 to 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.frame import Frame
from engine.metrics.image import psnr_db
from engine.reading import read_frames

FRAMES = 8
BITS = 24
RATIO = 48
PEAK = 255.0
SEARCH_STEPS = 12


def colour_figures(data: Path | None, model: CodecModel) -> dict[str, Any]:
    """Ratio and PSNR over all planes of colour images of galaxies, none of them trained on."""
    files = [] if data is None else sorted((data / "galaxies" / "gz_examples").glob("*.jpg"))
    rows = []
    for path in files[:: max(1, len(files) // FRAMES)][:FRAMES]:
        frame = read_frames(path, source="bench").frames[0]
        if frame.planes == 3:
            rows.append(_row(frame, model))
    if not rows:
        return {"frames": 0}
    return {"frames": len(rows)} | {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}


def _row(frame: Frame, model: CodecModel) -> dict[str, float]:
    pixels = frame.height * frame.width
    budget = BITS * pixels // (8 * RATIO)
    coded = encode(frame, RateTarget(bytes=budget), model)
    classic = _jpeg2000(frame, budget)
    return {
        "bits_per_pixel": 8 * len(coded) / pixels,
        "compression_ratio": BITS * pixels / (8 * len(coded)),
        "psnr_db": psnr_db(frame.pixels, decode(coded, model).pixels, PEAK),
        "jpeg2000_bits_per_pixel": 8 * len(classic) / pixels,
        "jpeg2000_psnr_db": psnr_db(
            frame.pixels,
            np.moveaxis(imagecodecs.jpeg2k_decode(classic), -1, 0).astype(np.float32),
            PEAK,
        ),
    }


def _jpeg2000(frame: Frame, budget: int) -> bytes:
    """OpenJPEG with its colour transform: the largest file within the budget."""
    image = np.ascontiguousarray(np.moveaxis(frame.pixels.astype(np.uint8), 0, -1))
    low, high, best = 10.0, 60.0, b""
    for _ in range(SEARCH_STEPS):
        level: Any = (low + high) / 2
        coded = bytes(
            imagecodecs.jpeg2k_encode(
                image, level=level, codecformat="j2k", reversible=False, mct=True, numthreads=1
            )
        )
        if len(coded) <= budget:
            low, best = level, coded
        else:
            high = level
    return best
