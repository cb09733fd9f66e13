"""What the codec achieves on frames it never saw."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from engine.codec.pipeline import CodecPipeline
from engine.frame import Frame
from engine.policy import generator_for
from engine.results import CodecResult

FIGURES = (
    "bpp",
    "psnr_db",
    "ms_ssim",
    "gradient_error",
    "rmse",
    "dropout_spearman",
    "predicted_spearman",
)


def measure(
    pipeline: CodecPipeline, groups: Mapping[str, Sequence[Frame]]
) -> dict[str, dict[str, float]]:
    """The `summary` of each group of frames at the pipeline's rate."""
    seed = pipeline.policy.seed
    return {
        name: summary([pipeline.run(frame, generator_for(frame.digest, seed)) for frame in frames])
        for name, frames in groups.items()
    }


def summary(results: Sequence[CodecResult]) -> dict[str, float]:
    """Means over the frames of one group, and how well the uncertainty maps are calibrated.

    Correlations leave out frames of fewer than four blocks. `predicted_over_true_rmse` and
    `dropout_over_true_rmse` are ratios of root mean squares over the group: 1 is calibrated.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means = {
            name: float(np.nanmean([getattr(result, name) for result in results]))
            for name in FIGURES
        }
    true = np.mean([result.rmse**2 for result in results])
    predicted = np.mean([np.square(result.predicted_rmse).mean() for result in results])
    deviation = np.mean([np.square(result.confidence).mean() for result in results])
    return {
        "frames": len(results),
        **means,
        "psnr_db_std": float(np.std([result.psnr_db for result in results])),
        "predicted_over_true_rmse": float(np.sqrt(predicted / true)),
        "dropout_over_true_rmse": float(np.sqrt(deviation / true)),
    }
