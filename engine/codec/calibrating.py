"""Which held-out images the error maps are calibrated on, and how the maps fare on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from engine.codec.corpus import eight_bit, held_out_frames, is_held_out, lossless_frames
from engine.codec.decoding import Decoded, decode
from engine.codec.encoding import encode
from engine.codec.errormaps import ErrorCalibration, error_maps, fit_error_calibration
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import rank_correlation, sparsification_error
from engine.frame import Frame, Pixels

MEASURED_FRAMES = {
    "landmarks": 12,
    "rover": 6,
    "raw_mars": 7,
    "other_body": 6,
    "simulated_ground": 4,
    "simulated_sky": 4,
}
"""The first frames of each held-out group that figures are of."""
MAPPED_FRAMES = {**MEASURED_FRAMES, "landmarks": 8}
"""Those that error maps are measured on and never calibrated on: there are 12 landmark sources."""
CALIBRATION_FRAMES = {
    "landmarks": 10,
    "rover": 10,
    "other_body": 10,
    "simulated_ground": 4,
    "lossless_trained_on": 11,
}
"""How many frames of each kind calibrate the maps. Lossless ones have the noise that images which
were JPEG files lack: other bodies, never trained on, and lossless Mars frames. All such frames that
are held out are measured; those here were trained on."""
CALIBRATED_ON = tuple(CALIBRATION_FRAMES)
STRIDE_OF = {"other_body": 3}
"""Every third of the other bodies: neighbours in the list are of one encounter."""
LARGEST_SIDE = 256
RATES = (0.25, 0.5, 1.0)
SAMPLES = 8


@dataclass(frozen=True)
class MapFigures:
    """Means over frames of one map: Spearman and AUSE over blocks of 32 x 32 pixels, the share of
    pixels within the 90 % interval, and expected over true rmse."""

    spearman: float
    ause: float
    coverage: float
    coverage_std: float
    expected_over_true_rmse: float


def calibrate(model: CodecModel, data: Path | None, seed: int = 0) -> ErrorCalibration:
    """Fit the maps on frames that no figure is of, at 0.25, 0.5 and 1 bpp."""
    pairs = [
        (frame, decode(encode(frame, RateTarget(bpp=rate), model), model))
        for frame, rate in product(calibration_frames(data), RATES)
    ]
    return fit_error_calibration(pairs, np.random.default_rng(seed), SAMPLES)


def calibration_frames(data: Path | None) -> list[Frame]:
    """The middle of frames beyond `MAPPED_FRAMES`, and of lossless Mars frames trained on."""
    most = max(MAPPED_FRAMES[name] + count * STRIDE_OF.get(name, 1)
               for name, count in CALIBRATION_FRAMES.items() if name in MAPPED_FRAMES)  # fmt: skip
    groups = held_out_frames(data, most)
    if data is not None:
        trained_on = [f for f in lossless_frames(data, "train") if not is_held_out(f)]
        groups["lossless_trained_on"] = [eight_bit(frame) for frame in trained_on]
    return [
        centre(frame, LARGEST_SIDE)
        for name, count in CALIBRATION_FRAMES.items()
        for frame in groups.get(name, [])[MAPPED_FRAMES.get(name, 0) :: STRIDE_OF.get(name, 1)][
            :count
        ]
    ]


def map_figures(
    pairs: Sequence[tuple[Frame, Decoded]], calibration: ErrorCalibration, seed: int = 0
) -> Mapping[str, MapFigures]:
    """How every map fares on frames that it was not calibrated on."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[tuple[float, float, float, float, float]]] = {}
    for frame, decoded in pairs:
        error = _error(frame, decoded)
        good = ~frame.mask & decoded.valid
        for name, made in error_maps(decoded, calibration, rng).items():
            rows.setdefault(name, []).append(
                (
                    rank_correlation(made.rmse, error),
                    sparsification_error(made.rmse, error),
                    float((error[good] <= made.half_width[good]).mean()),
                    float(np.square(made.rmse[good]).mean()),
                    float(np.square(error[good]).mean()),
                )
            )
    return {name: _figures(np.array(found)) for name, found in rows.items()}


def centre(frame: Frame, side: int) -> Frame:
    """At most `side` x `side` pixels from the middle of a frame."""
    rows, columns = (
        slice((length - min(length, side)) // 2, (length + min(length, side)) // 2)
        for length in frame.mask.shape
    )
    return replace(
        frame,
        pixels=np.ascontiguousarray(frame.pixels[..., rows, columns]),
        mask=np.ascontiguousarray(frame.mask[rows, columns]),
    )


def _figures(rows: np.ndarray) -> MapFigures:
    return MapFigures(
        spearman=float(np.nanmean(rows[:, 0])),
        ause=float(np.nanmean(rows[:, 1])),
        coverage=float(rows[:, 2].mean()),
        coverage_std=float(rows[:, 2].std()),
        expected_over_true_rmse=float(np.sqrt(rows[:, 3].mean() / rows[:, 4].mean())),
    )


def _error(frame: Frame, decoded: Decoded) -> Pixels:
    difference = np.where(frame.mask, 0.0, frame.filled() - decoded.pixels)
    planes = difference.reshape(-1, *frame.mask.shape)
    return np.sqrt(np.asarray(np.square(planes).mean(axis=0), dtype=np.float32))
