"""Mahalanobis distance of the length-normalised embedding to the centre of the normals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import Features, Scores, Tensors, check_fit
from engine.anomalies.scores.gaussian import ShrunkGaussian, unit_length


@dataclass(frozen=True)
class Mahalanobis:
    """Squared Mahalanobis distance of u = x / |x| under a shrunk covariance.

    score(x) = (u - m)^T S^-1 (u - m), m the mean of the normals and S their `ShrunkGaussian`. The
    normalisation is of the RAW features (Mueller & Hein 2025, "Mahalanobis++"): after a z-score it
    would destroy their size. The distance as an outlier score is Lee et al. (2018), NeurIPS.
    Higher is more anomalous.
    """

    mean: NDArray[np.float32]
    gaussian: ShrunkGaussian
    method: ClassVar[str] = "mahalanobis"

    @classmethod
    def fit(cls, features: Features) -> Mahalanobis:
        """Fit on normals, float32 (N, D). Raises CalibrationError with fewer than 8 rows."""
        check_fit(features)
        units = unit_length(features)
        mean = units.mean(axis=0)
        return cls(mean.astype(np.float32), ShrunkGaussian.fit(units - mean))

    def score(self, features: Features) -> Scores:
        """Squared distances, float64 (N,), without unit."""
        return self.gaussian.distance(unit_length(features) - self.mean)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {"mean": self.mean, **self.gaussian.tensors()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Mahalanobis:
        """The scorer that `tensors` were taken from."""
        return cls(tensors["mean"], ShrunkGaussian.from_tensors(tensors))
