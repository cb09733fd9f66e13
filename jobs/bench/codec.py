"""Rate, quality and uncertainty of the codec beside classic codecs, on the same pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.codec.calibrating import MEASURED_FRAMES, centre
from engine.codec.corpus import HELD_OUT_RAW, held_out_frames
from engine.codec.evaluation import summary
from engine.codec.model import CodecModel
from engine.codec.pipeline import CodecPipeline
from engine.codec.policy import CodecPolicy
from engine.frame import Frame
from engine.policy import generator_for
from jobs.bench.codec_classics import BASELINES, PEAK, coded_within
from jobs.bench.codec_colour import colour_figures
from jobs.bench.codec_downlink import night_figures, refinement_figures
from jobs.bench.codec_folds import fold_figures
from jobs.bench.codec_rates import curve_groups, rate_figures
from jobs.bench.codec_science import photometry_figures, uncertainty_figures
from jobs.bench.codec_speed import large_figures, speed_figures
from jobs.bench.result import write_result

RATES = (0.25, 0.5, 1.0)
FRAMES = MEASURED_FRAMES
LARGEST_SIDE = 512
SECTIONS = (
    "quality",
    "rates",
    "colour",
    "priority",
    "uncertainty",
    "photometry",
    "speed",
    "large",
    "night",
)
"""In the order of a whole run; large and night take minutes each."""
LONG_SECTIONS = ("folds",)
"""Only where they are named: they train networks of their own."""


def bench_codec(
    out: Path,
    *,
    data: Path | None,
    seed: int,
    now: datetime,
    sections: Sequence[str] = SECTIONS,
) -> dict[str, Any]:
    """Measure on held-out images and write `out`; without `data` on simulated ones alone.

    `sections` of the file that are not asked for stay as they are where the model is the same.
    """
    groups = measured_groups(data)
    model = CodecModel.load()
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "quality": lambda: {
            f"{rate:g}_bpp": {
                name: _measured(frames, rate, model, seed) for name, frames in groups.items()
            }
            for rate in RATES
        },
        "rates": lambda: {"rates": rate_figures(curve_groups(data), model)},
        "colour": lambda: {"colour": colour_figures(data, model)},
        "priority": lambda: {"priority": refinement_figures(groups, model)},
        "uncertainty": lambda: {"uncertainty": uncertainty_figures(groups, model, seed)},
        "photometry": lambda: {"photometry": photometry_figures(model)},
        "speed": lambda: {"speed": speed_figures(model)},
        "large": lambda: {"large": large_figures()},
        "night": lambda: {"night": night_figures(model, seed)},
        "folds": lambda: {"rover_folds": fold_figures(data, seed)},
    }
    figures = _kept(out, model)
    for section in sections:
        figures |= makers[section]()
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


def measured_groups(data: Path | None) -> dict[str, list[Frame]]:
    """The held-out frames that figures are of, at most 512 x 512 pixels from their middle."""
    held_out = held_out_frames(data, max(FRAMES.values()))
    return {
        name: [centre(frame, LARGEST_SIDE) for frame in frames[: FRAMES[name]]]
        for name, frames in held_out.items()
    }


def _kept(out: Path, model: CodecModel) -> dict[str, Any]:
    """What an earlier run wrote of the same model."""
    if not out.is_file():
        return {}
    document = json.loads(out.read_text(encoding="utf-8"))
    same = document["digests"]["model"] == model.digest
    return dict(document["figures"]) if same else {}


def _measured(
    frames: Sequence[Frame], rate: float, model: CodecModel, seed: int
) -> dict[str, dict[str, float]]:
    pipeline = CodecPipeline(CodecPolicy(bpp=rate, seed=seed), model=model)
    ours = summary([pipeline.run(frame, generator_for(frame.digest, seed)) for frame in frames])
    classics = {
        name: _classic_summary([coded_within(baseline, frame, rate) for frame in frames])
        for name, baseline in BASELINES.items()
    }
    return {"skysieve": ours, **classics}


def _classic_summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    spread = float(np.std([row["psnr_db"] for row in rows]))
    return {"frames": len(rows), **means, "psnr_db_std": spread}


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
        "correlations are over blocks of 32 x 32 pixels, averaged over frames. priority: shares "
        "of the squared error that refinements take away, after a quarter of their bytes. night: "
        "the anomaly pipeline on decoded frames of a simulated night, believed where refinements "
        "arrived (anomalies_kept) or anywhere; false alarms among the ordinary objects of frames "
        "that hold an anomaly. uncertainty: maps calibrated on held-out images that are not "
        "measured here. photometry: DAOFIND at 5 sigma on 16-bit simulated frames, against the "
        "raw frame. rover_folds: networks of short trainings of their own, each measured on the "
        "lossless rover frames that neither it nor what it began with had seen."
    )
