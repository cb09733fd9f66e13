"""Rate-distortion curves beside the classic codecs, and what they save in bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from engine.codec.calibrating import centre
from engine.codec.corpus import held_out_frames, held_out_rover_frames
from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.errors import NotApplicable
from engine.frame import Frame
from jobs.bench.codec_classics import BASELINES, coded_within, measured

RATES = (0.1, 0.25, 0.5, 1.0)
HIRISE_TILES, OTHERS = 24, 6
LARGEST_SIDE = 512
REFERENCE = "jpeg2000"
CARD_RATE = 0.5
FIGURES = ("psnr_db", "ms_ssim", "gradient_error")

Curve = Sequence[Mapping[str, float]]


def curve_groups(data: Path | None) -> dict[str, list[Frame]]:
    """The held-out frames that curves are drawn of, at most 512 x 512 pixels from their middle.

    "hirise_tiles" are landmark tiles of the test source images, "rover_12_bit" lossless MER and
    Navcam frames stretched to 8 bits by their 0.01 and 99.99 percentiles, "rover_8_bit" Navcam
    images decoded from JPEG, "raw_hirise" calibrated HiRISE crops.
    """
    found = held_out_frames(data, HIRISE_TILES)
    if data is None:
        return {name: _cut(frames[:OTHERS]) for name, frames in found.items()}
    raw = found.get("raw_mars", [])
    groups = {
        "hirise_tiles": found.get("landmarks", []),
        "rover_12_bit": held_out_rover_frames(data),
        "rover_8_bit": found.get("rover", [])[:OTHERS],
        "raw_hirise": [f for f in raw if "hirise" in f.origin.uri],
        "other_body": found.get("other_body", [])[:OTHERS],
    }
    return {name: _cut(frames) for name, frames in groups.items() if frames}


def rate_figures(groups: Mapping[str, Sequence[Frame]], model: CodecModel) -> dict[str, Any]:
    """Curves of every codec on every group, with the bytes saved against JPEG 2000."""
    return {name: _group_figures(frames, model) for name, frames in groups.items()}


def card_curves(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a model card keeps of `rate_figures`: mean curves and bytes saved, by group."""
    kept = ("frames", "bd_rate_percent_against_jpeg2000", "curves")
    return {name: {key: group[key] for key in kept} for name, group in figures.items()}


def _group_figures(frames: Sequence[Frame], model: CodecModel) -> dict[str, Any]:
    curves = [_curves(frame, model) for frame in frames]
    names = list(curves[0])
    against = {
        name: _finite_mean([bd_rate(one[name], one[REFERENCE]) for one in curves])
        for name in names
        if name != REFERENCE
    }
    at_half = {
        name: _finite_mean([at_rate(one[name], CARD_RATE) for one in curves]) for name in names
    }
    return {
        "frames": len(frames),
        "bd_rate_percent_against_jpeg2000": against,
        "psnr_db_at_0.5_bpp_interpolated": at_half,
        "psnr_gain_over_jpeg2000_db_at_0.5_bpp": at_half["skysieve"] - at_half[REFERENCE],
        "curves": {
            name: [
                {key: float(np.mean([one[name][n][key] for one in curves])) for key in point}
                for n, point in enumerate(curves[0][name])
            ]
            for name in names
        },
        "by_frame": [
            {
                "frame": f"{frame.origin.object_id} {frame.origin.part}".strip(),
                "bd_rate_percent": bd_rate(one["skysieve"], one[REFERENCE]),
                "psnr_gain_db_at_0.5_bpp": at_rate(one["skysieve"], CARD_RATE)
                - at_rate(one[REFERENCE], CARD_RATE),
            }
            for frame, one in zip(frames, curves, strict=True)
        ],
    }


def _curves(frame: Frame, model: CodecModel) -> dict[str, Curve]:
    ours = [_ours(frame, rate, model) for rate in RATES]
    classics = {
        name: [coded_within(baseline, frame, rate) for rate in RATES]
        for name, baseline in BASELINES.items()
    }
    return {"skysieve": ours, **classics}


def _ours(frame: Frame, rate: float, model: CodecModel) -> dict[str, float]:
    try:
        data = encode(frame, RateTarget(bpp=rate), model)
    except NotApplicable:
        return dict.fromkeys(("bpp", *FIGURES), float("nan"))
    return measured(frame, decode(data, model).pixels, len(data))


def bd_rate(curve: Curve, reference: Curve) -> float:
    """Percent more bytes at equal PSNR over the common range (Bjontegaard, 2001), negative = fewer.

    Piecewise cubic interpolation of ln rate over PSNR; NaN where the ranges do not meet.
    """
    ours, theirs = _rising(curve), _rising(reference)
    if len(ours) < 2 or len(theirs) < 2:
        return float("nan")
    low, high = max(ours[0, 1], theirs[0, 1]), min(ours[-1, 1], theirs[-1, 1])
    if high <= low:
        return float("nan")
    grid = np.linspace(low, high, 200)
    logs = [PchipInterpolator(points[:, 1], points[:, 0])(grid) for points in (ours, theirs)]
    return float(100.0 * np.expm1(np.trapezoid(logs[0] - logs[1], grid) / (high - low)))


def at_rate(curve: Curve, rate: float) -> float:
    """PSNR at a rate, linear in ln rate between the points around it."""
    points = _rising(curve)
    return float(np.interp(np.log(rate), points[:, 0], points[:, 1]))


def _rising(curve: Curve) -> NDArray[np.float64]:
    """(n, 2) ln rate and PSNR, by rate; points that cost more and give no more are left out."""
    points = sorted((np.log(point["bpp"]), point["psnr_db"]) for point in curve)
    kept: list[tuple[float, float]] = []
    for rate, quality in points:
        if np.isfinite(quality) and (not kept or (rate > kept[-1][0] and quality > kept[-1][1])):
            kept.append((float(rate), float(quality)))
    return np.array(kept).reshape(-1, 2)


def _finite_mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _cut(frames: Sequence[Frame]) -> list[Frame]:
    return [centre(frame, LARGEST_SIDE) for frame in frames]
