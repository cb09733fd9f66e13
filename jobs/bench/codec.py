"""Rate, quality and uncertainty of the codec beside JPEG, JPEG 2000 and JPEG XL, same pixels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.codec.calibrating import MEASURED_FRAMES
from engine.codec.corpus import HELD_OUT_RAW, held_out_frames
from engine.codec.evaluation import summary
from engine.codec.model import CodecModel
from engine.codec.pipeline import CodecPipeline
from engine.codec.policy import CodecPolicy
from engine.frame import Frame
from engine.metrics.image import gradient_error, ms_ssim, psnr_db
from engine.policy import generator_for
from jobs.bench.codec_downlink import night_figures, refinement_figures
from jobs.bench.codec_science import photometry_figures, uncertainty_figures
from jobs.bench.result import write_result

RATES = (0.25, 0.5, 1.0)
FRAMES = MEASURED_FRAMES
LARGEST_SIDE = 512
SEARCH_STEPS = 12
PEAK = 255.0

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Baseline:
    """A classic codec with one knob in [0, 1] that makes files larger."""

    encode: Callable[[Grey, float], bytes]
    decode: Callable[[bytes], Grey]


def bench_codec(out: Path, *, data: Path | None, seed: int, now: datetime) -> dict[str, Any]:
    """Measure on held-out images and write `out`; without `data` on simulated ones alone."""
    held_out = held_out_frames(data, max(FRAMES.values()))
    groups = {
        name: [_centre(frame) for frame in frames[: FRAMES[name]]]
        for name, frames in held_out.items()
    }
    model = CodecModel.load()
    figures: dict[str, Any] = {
        f"{rate:g}_bpp": {
            name: _measured(frames, rate, model, seed) for name, frames in groups.items()
        }
        for rate in RATES
    }
    figures |= {
        "priority": refinement_figures(groups, model),
        "night": night_figures(model, seed),
        "uncertainty": uncertainty_figures(groups, model, seed),
        "photometry": photometry_figures(model),
    }
    write_result(
        out,
        bench="codec",
        command="skysieve bench codec",
        seed=seed,
        now=now,
        digests={"model": model.digest, "data": _digest(groups)},
        figures=figures,
        notes=_notes(data),
    )
    return figures


def _measured(
    frames: Sequence[Frame], rate: float, model: CodecModel, seed: int
) -> dict[str, dict[str, float]]:
    pipeline = CodecPipeline(CodecPolicy(bpp=rate, seed=seed), model=model)
    ours = summary([pipeline.run(frame, generator_for(frame.digest, seed)) for frame in frames])
    classics = {
        name: _classic_summary([_coded(baseline, frame, rate) for frame in frames])
        for name, baseline in BASELINES.items()
    }
    return {"skysieve": ours, **classics}


def _coded(baseline: Baseline, frame: Frame, rate: float) -> dict[str, float]:
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
    decoded = baseline.decode(best).astype(np.float32)
    return {
        "bpp": 8 * len(best) / pixels.size,
        "psnr_db": psnr_db(frame.pixels, decoded, PEAK),
        "ms_ssim": ms_ssim(frame.pixels, decoded, PEAK),
        "gradient_error": gradient_error(frame.pixels, decoded),
    }


def _classic_summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    spread = float(np.std([row["psnr_db"] for row in rows]))
    return {"frames": len(rows), **means, "psnr_db_std": spread}


def _centre(frame: Frame) -> Frame:
    """At most 512 x 512 pixels from the middle, so that the bench stays short."""
    rows, columns = (
        slice((length - min(length, LARGEST_SIDE)) // 2, (length + min(length, LARGEST_SIDE)) // 2)
        for length in frame.mask.shape
    )
    return replace(
        frame,
        pixels=np.ascontiguousarray(frame.pixels[rows, columns]),
        mask=np.ascontiguousarray(frame.mask[rows, columns]),
    )


def _digest(groups: Mapping[str, Sequence[Frame]]) -> str:
    hasher = hashlib.sha256()
    for frames in groups.values():
        for frame in frames:
            hasher.update(frame.digest.encode())
    return hasher.hexdigest()


def _notes(data: Path | None) -> str:
    real = (
        "Real sets: landmarks = HiRISE tiles of the test source images and rover = MSL Navcam "
        "held out by clock count, both JPEG q95 before; raw_mars = lossless MER, Navcam and HiRISE "
        f"held out by name ({', '.join(HELD_OUT_RAW)}); other_body = lossless Voyager, Galileo, "
        "Cassini and others, never trained on. "
        if data is not None
        else "SKYSIEVE_DATA was not set: simulated frames alone. "
    )
    return (
        f"{real}Grey, 8 bits (deeper samples by the codec's own affine or asinh mapping), middle "
        f"{LARGEST_SIDE} x {LARGEST_SIDE} pixels of larger frames, peak {PEAK:g}. Every size is "
        "that of the whole file, headers and checksums included; each codec gets the largest file "
        "within the rate, or its smallest where none fits. JPEG: Pillow, optimised, progressive; "
        "JPEG 2000: OpenJPEG, 9/7, raw codestream; JPEG XL: libjxl, effort 5. Spearman "
        "correlations are over blocks of 32 x 32 pixels, averaged over frames. priority: shares of "
        "the squared error that refinements take away, after a quarter of their bytes. night: the "
        "anomaly pipeline on decoded frames of a simulated night. uncertainty: maps calibrated on "
        "held-out images that are not measured here. photometry: DAOFIND at 5 sigma on 16-bit "
        "simulated frames, against the raw frame."
    )


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


BASELINES = {
    "jpeg": Baseline(_jpeg, lambda coded: np.asarray(Image.open(io.BytesIO(coded)))),
    "jpeg2000": Baseline(_jpeg2000, lambda coded: imagecodecs.jpeg2k_decode(coded, numthreads=1)),
    "jpegxl": Baseline(_jpeg_xl, lambda coded: imagecodecs.jpegxl_decode(coded, numthreads=1)),
}
