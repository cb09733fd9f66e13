"""A Gaussian with a shrunk covariance, kept as its leading directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from engine.anomalies.scores.base import Features, Scores, Tensors, principal_directions

MAX_COMPONENTS = 256


@dataclass(frozen=True)
class ShrunkGaussian:
    """Covariance S = (1 - a) C + a tr(C)/D I of centred rows, a by Ledoit & Wolf.

    a is the shrinkage of Ledoit & Wolf (2004), J. Multivariate Analysis 88. Of S the 256 leading
    directions are kept; the variances of the rest are replaced by their mean (Tipping & Bishop
    1999, J. Royal Stat. Soc. B 61), which is exact where at most 256 rows or columns are given.
    """

    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest_variance: NDArray[np.float32]

    @classmethod
    def fit(cls, centred: Scores) -> ShrunkGaussian:
        """Fit on float64 (N, D) rows whose mean is zero."""
        shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
        squared, directions = principal_directions(centred, MAX_COMPONENTS)
        spectrum = squared / len(centred)
        dimension = centred.shape[1]
        total = float(np.sum(centred**2)) / len(centred)
        floor = shrinkage * total / dimension + 1e-12
        left = dimension - len(spectrum)
        rest = (total - float(spectrum.sum())) / left if left else 0.0
        return cls(
            directions.astype(np.float32),
            ((1 - shrinkage) * spectrum + floor).astype(np.float32),
            np.array([(1 - shrinkage) * max(rest, 0.0) + floor], dtype=np.float32),
        )

    def distance(self, centred: Scores) -> Scores:
        """Squared distances x^T S^-1 x, float64 (N,), of float64 (N, D)."""
        along = centred @ self.directions.T.astype(np.float64)
        outside = np.maximum(np.sum(centred**2, axis=1) - np.sum(along**2, axis=1), 0.0)
        explained = np.sum(along**2 / self.variances.astype(np.float64), axis=1)
        return np.asarray(explained + outside / float(self.rest_variance[0]), dtype=np.float64)

    def tensors(self, prefix: str = "") -> Tensors:
        """Everything fitted, by name."""
        return {
            f"{prefix}directions": self.directions,
            f"{prefix}variances": self.variances,
            f"{prefix}rest_variance": self.rest_variance,
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, NDArray[np.float32]], prefix: str = ""
    ) -> ShrunkGaussian:
        """The Gaussian that `tensors` were taken from."""
        names = ("directions", "variances", "rest_variance")
        return cls(*(tensors[f"{prefix}{name}"] for name in names))


def unit_length(features: Features) -> Scores:
    """Each row divided by its Euclidean length (a zero row stays zero), float64 (N, D)."""
    rows = features.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), dtype=np.float64)
