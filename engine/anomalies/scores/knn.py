"""Distance to the nearest normals in feature space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from engine.anomalies.scores.base import (
    Features,
    Scores,
    Standardiser,
    Tensors,
    principal_directions,
)

NEIGHBOURS = 5
MAX_DIMENSION = 128


@dataclass(frozen=True)
class NearestNeighbours:
    """Mean Euclidean distance to the 5 nearest normals, in z-scored features.

    score(x) = 1/k sum_{j <= k} |P z - b_(j)|, z the z-scores (clipped at +-8), b the normals of the
    fit set and P their 128 leading principal directions (a rotation for D <= 128). Ramaswamy et
    al. (2000), SIGMOD; Sun et al. (2022), ICML. Higher is more anomalous.
    """

    standardiser: Standardiser
    directions: NDArray[np.float32]
    bank: NDArray[np.float32]
    method: ClassVar[str] = "knn"

    @classmethod
    def fit(cls, features: Features) -> NearestNeighbours:
        """Fit on normals, float32 (N, D). Raises CalibrationError with fewer than 8 rows."""
        standardiser = Standardiser.fit(features)
        z = standardiser.apply(features)
        if z.shape[1] <= MAX_DIMENSION:
            kept = np.eye(z.shape[1])
        else:
            _, kept = principal_directions(z - z.mean(axis=0), MAX_DIMENSION)
        return cls(standardiser, kept.astype(np.float32), (z @ kept.T).astype(np.float32))

    def score(self, features: Features) -> Scores:
        """Mean distances, float64 (N,), in standard deviations."""
        points = self.standardiser.apply(features) @ self.directions.T.astype(np.float64)
        distances = cdist(points, self.bank.astype(np.float64))
        nearest = np.partition(distances, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        return np.asarray(nearest.mean(axis=1), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "mean": self.standardiser.mean,
            "scale": self.standardiser.scale,
            "directions": self.directions,
            "bank": self.bank,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> NearestNeighbours:
        """The scorer that `tensors` were taken from."""
        return cls(
            Standardiser(tensors["mean"], tensors["scale"]), tensors["directions"], tensors["bank"]
        )
