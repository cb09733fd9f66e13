"""What else a score may be measuring: size, brightness, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from engine.anomalies.calibration import MIN_CALIBRATION, Calibration
from engine.anomalies.scores.base import Scores
from engine.errors import CalibrationError

MOST_BINS = 5
BIN_ROWS = 60
FEW = 8


def score_correlations(
    scores: Mapping[str, NDArray[np.floating]], confounders: Mapping[str, NDArray[np.floating]]
) -> dict[str, dict[str, float | None]]:
    """Spearman correlation of every score with every confounder, over the normals given.

    Both hold (N,) by name; rows where a confounder is not finite are left out of its own
    correlation. None where fewer than 8 rows are left or one side is constant. Spearman (1904),
    American J. Psychology 15.
    """
    return {
        name: {which: _spearman(values, other) for which, other in confounders.items()}
        for name, values in scores.items()
    }


def magnitude(flux: NDArray[np.floating], zero_point: float = 0.0) -> Scores:
    """-2.5 log10(flux) + zero_point, float64; NaN where the flux is not positive."""
    values = np.asarray(flux, dtype=np.float64)
    positive = np.where(values > 0, values, np.nan)
    return np.asarray(zero_point - 2.5 * np.log10(positive), dtype=np.float64)


@dataclass(frozen=True)
class ConditionalCalibration:
    """Split-conformal p-values among normals of like size (or any other confounder).

    The calibration rows are cut into bins of the confounder at its quantiles, each bin calibrated
    for itself, so that P(p <= a) <= a holds within a bin: Mondrian conformal prediction (Vovk et
    al. 2005, "Algorithmic Learning in a Random World", 4.5). `edges` float64 (bins - 1,) ascending.
    """

    edges: NDArray[np.float64]
    bins: tuple[Calibration, ...]

    @classmethod
    def fit(
        cls, scores: NDArray[np.floating], confounder: NDArray[np.floating]
    ) -> ConditionalCalibration:
        """Cut (n,) held-out scores by (n,) confounder values: bins of about 60 rows, at most 5.

        Raises CalibrationError with fewer than 19 rows, or values that are not finite.
        """
        values = np.asarray(confounder, dtype=np.float64)
        if values.shape != np.shape(scores) or not np.isfinite(values).all():
            raise CalibrationError(
                f"one finite confounder value is needed per held-out score, got {values.shape} for "
                f"{np.shape(scores)}: leave rows without it out"
            )
        count = max(1, min(MOST_BINS, len(values) // BIN_ROWS))
        edges = np.unique(np.quantile(values, np.arange(1, count) / count))
        while True:
            of_bin = np.searchsorted(edges, values, side="right")
            sizes = np.bincount(of_bin, minlength=len(edges) + 1)
            if len(edges) == 0 or sizes.min() >= MIN_CALIBRATION:
                break
            thin = int(sizes.argmin())  # ties in the confounder: join a thin bin to a neighbour
            edges = np.delete(edges, min(thin, len(edges) - 1))
        bins = [Calibration.of(np.asarray(scores)[of_bin == k]) for k in range(len(edges) + 1)]
        return cls(edges, tuple(bins))

    def p_value(
        self,
        raw: NDArray[np.floating],
        confounder: NDArray[np.floating],
        own: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float64]:
        """p-values (N,) among the normals of the same bin; NaN where the confounder is NaN.

        `own` marks rows that are calibration rows themselves, as in `Calibration.p_value`.
        """
        mine = np.zeros(len(raw), dtype=np.bool_) if own is None else own
        values = np.asarray(confounder, dtype=np.float64)
        of_bin = np.searchsorted(self.edges, values, side="right")
        p_values = np.full(len(values), np.nan)
        for number, calibration in enumerate(self.bins):
            rows = np.isfinite(values) & (of_bin == number)
            p_values[rows] = calibration.p_value(np.asarray(raw)[rows], mine[rows])
        return p_values


def _spearman(scores: NDArray[np.floating], confounder: NDArray[np.floating]) -> float | None:
    known = np.isfinite(confounder)
    left, right = np.asarray(scores)[known], np.asarray(confounder)[known]
    if len(left) < FEW or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return float(spearmanr(left, right).statistic)
