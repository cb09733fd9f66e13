"""Bytes saved on every lossless rover frame, each coded by a network that never saw it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.codec.calibrating import centre
from engine.codec.folds import FOLDS, STEPS_BEFORE, STEPS_OF_FOLD, fold_frames, fold_models
from engine.codec.training import Progress
from jobs.bench.codec_rates import LARGEST_SIDE, rate_figures
from jobs.cli.output import progress

CHECKPOINTS = Path(".checkpoints")


def fold_figures(data: Path | None, seed: int) -> dict[str, Any]:
    """BD-rate of short trainings, by fold and over all frames; resumes a training cut short."""
    if data is None:
        return {"frames": 0}
    models = fold_models(data, seed, clock=time.monotonic, checkpoints=CHECKPOINTS, say=_say)
    by_fold = {}
    for fold in FOLDS:
        frames = [centre(frame, LARGEST_SIDE) for frame in fold_frames(data, fold)]
        by_fold[fold] = rate_figures({fold: frames}, models[fold])[fold]
    saved = [row["bd_rate_percent"] for one in by_fold.values() for row in one["by_frame"]]
    gains = [row["psnr_gain_db_at_0.5_bpp"] for one in by_fold.values() for row in one["by_frame"]]
    return {
        "frames": len(saved),
        "steps_before_folds": STEPS_BEFORE,
        "steps_of_each_fold": STEPS_OF_FOLD,
        "bd_rate_percent_against_jpeg2000": float(np.mean(saved)),
        "bd_rate_percent_std": float(np.std(saved)),
        "psnr_gain_db_at_0.5_bpp": float(np.mean(gains)),
        "by_fold": by_fold,
    }


def _say(name: str, now: Progress) -> None:
    progress(
        f"{name}, step {now.step}, {now.elapsed_s:.0f} s: loss {now.loss:.3f}, {now.bpp:.3f} bpp"
    )
