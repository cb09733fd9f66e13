"""What every fitted scorer offers, and the feature scaling that several share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import CalibrationError, ModelError

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Tensors = dict[str, NDArray[np.float32]]

MIN_FIT = 8
CLIP = 8.0


class FittedScorer(Protocol):
    """A score fitted on normals; higher is more anomalous."""

    method: ClassVar[str]

    def score(self, features: Features) -> Scores:
        """Scores float64 (N,) of `features` float32 (N, D)."""
        ...

    def tensors(self) -> Tensors:
        """Everything fitted, by name, for one safetensors file."""
        ...

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """The scorer that `tensors` were taken from."""
        ...


def check_fit(features: Features) -> None:
    """Raise CalibrationError for too few rows, ModelError for features that are not finite."""
    if features.ndim != 2 or len(features) < MIN_FIT:
        raise CalibrationError(
            f"fitting a score needs at least {MIN_FIT} normal images, got shape {features.shape}: "
            "add reference images"
        )
    if not np.isfinite(features).all():
        raise ModelError("features to fit on must be finite: mask or drop the broken images")


@dataclass(frozen=True)
class Standardiser:
    """z-scores, clipped to +-8, over the columns that vary: z = (x - mean) / standard deviation.

    Columns constant over the fit set carry no scale to judge by and are dropped.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, features: Features) -> Standardiser:
        """Fit on `features` float32 (N, D)."""
        check_fit(features)
        mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)
        if not varies.any():
            raise ModelError(
                "the features of all reference images are the same: nothing to judge by; "
                "check that the reference images are not copies or empty"
            )
        scale = np.where(varies, deviation, 0.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def apply(self, features: Features) -> Scores:
        """z-scores float64 (N, number of varying columns)."""
        kept = self.scale > 0
        centred = features[:, kept].astype(np.float64) - self.mean[kept]
        return np.clip(centred / self.scale[kept], -CLIP, CLIP)


def principal_directions(centred: Scores, count: int) -> tuple[Scores, Scores]:
    """Squared singular values and right singular vectors of (N, D) rows, the largest first.

    At most `count`, without those that are zero to rounding; from the eigenvectors of the smaller
    of X^T X and X X^T, which is several times faster than a full decomposition. Returns float64
    (K,) and (K, D).
    """
    rows, columns = centred.shape
    if rows > columns:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        directions = vectors.T
    else:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        root = np.sqrt(np.maximum(values, 1e-300))
        directions = (centred.T @ vectors / root).T
    real = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    order = np.flatnonzero(real)[::-1][:count]
    return values[order], directions[order]
