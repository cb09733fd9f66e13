"""Reconstruction error: how much of an embedding the normals' main directions cannot explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import (
    Features,
    Scores,
    Standardiser,
    Tensors,
    principal_directions,
)

EXPLAINED_VARIANCE = 0.95
MAX_COMPONENTS = 256


@dataclass(frozen=True)
class PcaReconstruction:
    """Mean squared residual of the z-scored features after projection on k components.

    score(x) = |z - mu - V V^T (z - mu)|^2 / D with z the z-scores (clipped at +-8), mu their mean
    and V the k leading principal directions, k the fewest that explain 95 % of the variance, at
    most 256 and fewer than rows and columns. The Q statistic of Jackson & Mudholkar (1979),
    Technometrics 21, per column. Higher is more anomalous.
    """

    standardiser: Standardiser
    centre: NDArray[np.float32]
    components: NDArray[np.float32]
    method: ClassVar[str] = "pca_reconstruction"

    @classmethod
    def fit(
        cls, features: Features, *, explained_variance: float = EXPLAINED_VARIANCE
    ) -> PcaReconstruction:
        """Fit on normals, float32 (N, D). Raises CalibrationError with fewer than 8 rows."""
        standardiser = Standardiser.fit(features)
        z = standardiser.apply(features)
        centre = z.mean(axis=0)
        squared, directions = principal_directions(z - centre, MAX_COMPONENTS)
        share = np.cumsum(squared) / max(float(np.sum((z - centre) ** 2)), 1e-12)
        count = int(np.searchsorted(share, explained_variance - 1e-12)) + 1
        count = max(1, min(count, MAX_COMPONENTS, min(z.shape) - 1))
        return cls(standardiser, centre.astype(np.float32), directions[:count].astype(np.float32))

    def score(self, features: Features) -> Scores:
        """Mean squared residual, float64 (N,), in squared standard deviations."""
        centred = self.standardiser.apply(features) - self.centre
        coordinates = centred @ self.components.T.astype(np.float64)
        residual = centred - coordinates @ self.components
        return np.asarray(np.mean(residual**2, axis=1), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "mean": self.standardiser.mean,
            "scale": self.standardiser.scale,
            "centre": self.centre,
            "components": self.components,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> PcaReconstruction:
        """The scorer that `tensors` were taken from."""
        return cls(
            Standardiser(tensors["mean"], tensors["scale"]),
            tensors["centre"],
            tensors["components"],
        )
