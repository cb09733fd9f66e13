"""The short vector that similar detections are searched by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import Features, Standardiser, principal_directions

SEARCH_DIMENSION = 128


@dataclass(frozen=True)
class Projection:
    """z-scored features on their leading principal directions, at most 128, scaled to length 1."""

    standardiser: Standardiser
    directions: NDArray[np.float32]

    @classmethod
    def fit(cls, features: Features) -> Projection:
        """Fit on features float32 (N, D) of normals."""
        standardiser = Standardiser.fit(features)
        z = standardiser.apply(features)
        _, directions = principal_directions(z - z.mean(axis=0), SEARCH_DIMENSION)
        return cls(standardiser, directions.astype(np.float32))

    def apply(self, features: Features) -> NDArray[np.float32]:
        """Search vectors float32 (N, <= 128) of length 1 (zero where the features are the mean)."""
        short = self.standardiser.apply(features) @ self.directions.T.astype(np.float64)
        length = np.linalg.norm(short, axis=1, keepdims=True)
        return np.asarray(short / np.where(length > 0, length, 1.0), dtype=np.float32)
