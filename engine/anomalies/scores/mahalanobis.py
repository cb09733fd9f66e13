"""Mahalanobis distance of the length-normalised embedding to the centre of the normals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from engine.anomalies.scores.base import Features, Scores, Tensors, check_fit

MAX_COMPONENTS = 256


@dataclass(frozen=True)
class Mahalanobis:
    """Squared Mahalanobis distance of u = x / |x| under a shrunk covariance.

    score(x) = (u - m)^T S^-1 (u - m), S = (1 - a) C + a tr(C)/D I with C the normals' covariance
    and a the shrinkage of Ledoit & Wolf (2004), J. Multivariate Analysis 88. The normalisation is
    of the RAW features (Mueller & Hein 2025, "Mahalanobis++"); the distance as an outlier score is
    Lee et al. (2018), NeurIPS. Of S the 256 leading directions are kept; the variances of the rest
    are replaced by their mean (Tipping & Bishop 1999, J. Royal Stat. Soc. B 61), which is exact
    for D <= 256. Higher is more anomalous.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest_variance: NDArray[np.float32]
    method: ClassVar[str] = "mahalanobis"

    @classmethod
    def fit(cls, features: Features) -> Mahalanobis:
        """Fit on normals, float32 (N, D). Raises CalibrationError with fewer than 8 rows."""
        check_fit(features)
        units = unit_length(features)
        mean = units.mean(axis=0)
        centred = units - mean
        shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
        _, singular, directions = np.linalg.svd(centred, full_matrices=False)
        spectrum = singular**2 / len(centred)
        dimension = features.shape[1]
        total = float(spectrum.sum())
        floor = shrinkage * total / dimension + 1e-12
        kept = min(MAX_COMPONENTS, len(spectrum))
        left = dimension - kept
        rest = (total - float(spectrum[:kept].sum())) / left if left else 0.0
        return cls(
            mean.astype(np.float32),
            directions[:kept].astype(np.float32),
            ((1 - shrinkage) * spectrum[:kept] + floor).astype(np.float32),
            np.array([(1 - shrinkage) * max(rest, 0.0) + floor], dtype=np.float32),
        )

    def score(self, features: Features) -> Scores:
        """Squared distances, float64 (N,), without unit."""
        centred = unit_length(features) - self.mean
        along = centred @ self.directions.T.astype(np.float64)
        outside = np.maximum(np.sum(centred**2, axis=1) - np.sum(along**2, axis=1), 0.0)
        explained = np.sum(along**2 / self.variances.astype(np.float64), axis=1)
        return np.asarray(explained + outside / float(self.rest_variance[0]), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "mean": self.mean,
            "directions": self.directions,
            "variances": self.variances,
            "rest_variance": self.rest_variance,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Mahalanobis:
        """The scorer that `tensors` were taken from."""
        return cls(
            tensors["mean"],
            tensors["directions"],
            tensors["variances"],
            tensors["rest_variance"],
        )


def unit_length(features: Features) -> Scores:
    """Each row divided by its Euclidean length (a zero row stays zero), float64 (N, D)."""
    rows = features.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), dtype=np.float64)
