"""Error maps and photometry of decoded frames, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from engine.cards import WEIGHTS, read_card
from engine.codec.calibrating import CALIBRATED_ON, MAPPED_FRAMES, map_figures
from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.errormaps import ErrorCalibration
from engine.codec.model import CodecModel
from engine.codec.photometry import photometry_report
from engine.codec.rate import RateTarget
from engine.cosmicrays.pipeline import CosmicRayPipeline
from engine.frame import Frame, Origin
from engine.policy import generator_for
from engine.sky import simulated_frame

MARS = ("landmarks", "rover", "raw_mars")
RATES = (0.25, 0.5)
SKY_NIGHT, SKY_FRAMES = "codec-photometry", 12
SKY_TARGETS = {
    "1_bpp": RateTarget(bpp=1.0),
    "2_bpp": RateTarget(bpp=2.0),
    "4_bpp": RateTarget(bpp=4.0),
    "near_2": RateTarget(near=2),
    "lossless": RateTarget(lossless=True),
}


def uncertainty_figures(
    groups: Mapping[str, Sequence[Frame]], model: CodecModel, seed: int, folder: Path = WEIGHTS
) -> dict[str, Any]:
    """Spearman, AUSE and coverage of every map on every group, and their mean over Mars.

    The calibration is that of the card in `folder`."""
    stored = read_card("codec", folder).calibration
    if not stored:
        return {"calibrated": False}
    calibration = ErrorCalibration.from_dict(stored)
    by_rate: dict[str, Any] = {}
    for rate in RATES:
        by_group = {}
        for name, frames in groups.items():
            pairs = [
                (f, decode(encode(f, RateTarget(bpp=rate), model), model))
                for f in frames[: MAPPED_FRAMES[name]]
            ]
            found = map_figures(pairs, calibration, seed)
            by_group[name] = {which: asdict(one) for which, one in found.items()}
        by_rate[f"{rate:g}_bpp"] = by_group
    mars = {
        which: {
            figure: float(
                np.mean(
                    [
                        groups_[name][which][figure]
                        for groups_, name in product(by_rate.values(), MARS)
                        if name in groups_
                    ]
                    or [np.nan]
                )
            )
            for figure in ("spearman", "ause", "coverage")
        }
        for which in calibration.maps
    }
    return {
        "calibrated": True,
        "default": calibration.best,
        "calibrated_on": list(CALIBRATED_ON),
        "mean_over_mars": mars,
        **by_rate,
    }


def photometry_figures(model: CodecModel) -> dict[str, Any]:
    """5-sigma sources and their fluxes after decoding, simulated CCD frames of 16 bits.

    Each lossy rate twice: as it is, and with cosmic rays kept in a side list.
    """
    detector = CosmicRayPipeline()
    frames = [_counts(simulated_frame(SKY_NIGHT, index).frame) for index in range(SKY_FRAMES)]
    hits = [detector.run(frame, generator_for(frame.digest, 0)).mask for frame in frames]
    figures: dict[str, Any] = {}
    for name, target in SKY_TARGETS.items():
        for protected in (False, True) if target.largest_error is None else (False,):
            rows = []
            for frame, hit in zip(frames, hits, strict=True):
                data = encode(frame, target, model, hits=hit if protected else None)
                decoded = decode(data, model)
                report = asdict(photometry_report(frame.pixels, decoded.pixels))
                largest = float(np.abs(decoded.pixels - frame.pixels).max())
                on_hits = float(np.abs(decoded.pixels - frame.pixels)[hit].max(initial=0.0))
                rows.append(
                    {
                        **report,
                        "bpp": 8 * len(data) / frame.pixels.size,
                        "largest_error": largest,
                        "largest_error_on_hits": on_hits,
                    }
                )
            key = f"{name}_hits_protected" if protected else name
            figures[key] = {k: float(np.nanmean([row[k] for row in rows])) for k in rows[0]}
    return figures


def _counts(frame: Frame) -> Frame:
    """A simulated frame as a 16-bit detector stores it."""
    counts = np.clip(np.rint(frame.pixels / 1.5) + 100, 0, 65535).astype(np.uint16)
    origin = Origin(frame.origin.source, frame.origin.object_id)
    return Frame.of(counts, origin, mask=frame.mask, unit="adu")
