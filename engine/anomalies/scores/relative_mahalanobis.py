"""Mahalanobis distance to the nearest class, relative to the distance to everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import Features, Scores, Tensors, check_fit
from engine.anomalies.scores.gaussian import ShrunkGaussian, unit_length
from engine.errors import CalibrationError


@dataclass(frozen=True)
class RelativeMahalanobis:
    """min over classes k of (u - m_k)^T W^-1 (u - m_k), minus (u - m)^T S^-1 (u - m).

    u = x / |x|; m_k and m are the means of class k and of all normals, W the `ShrunkGaussian` of
    the rows about their own class mean and S that of the rows about m. Ren et al. (2021),
    arXiv:2106.09022. It assumes that the normal classes are clusters of the embedding; where they
    are not it can be inverted, so it is reported and does not vote. Higher is more anomalous.
    """

    class_means: NDArray[np.float32]
    mean: NDArray[np.float32]
    within: ShrunkGaussian
    overall: ShrunkGaussian
    method: ClassVar[str] = "relative_mahalanobis"

    @classmethod
    def fit(cls, features: Features, labels: Sequence[str]) -> RelativeMahalanobis:
        """Fit on normals, float32 (N, D), with one class name a row.

        Raises CalibrationError with fewer than 8 rows or two classes.
        """
        check_fit(features)
        names = sorted(set(labels))
        if len(names) < 2:
            raise CalibrationError(f"a relative distance needs at least two classes, got {names}")
        units = unit_length(features)
        of_class = np.array([names.index(label) for label in labels])
        class_means = np.stack([units[of_class == k].mean(axis=0) for k in range(len(names))])
        mean = units.mean(axis=0)
        return cls(
            class_means.astype(np.float32),
            mean.astype(np.float32),
            ShrunkGaussian.fit(units - class_means[of_class]),
            ShrunkGaussian.fit(units - mean),
        )

    def score(self, features: Features) -> Scores:
        """Difference of squared distances, float64 (N,), of either sign."""
        units = unit_length(features)
        near = np.min([self.within.distance(units - own) for own in self.class_means], axis=0)
        return np.asarray(near - self.overall.distance(units - self.mean), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "class_means": self.class_means,
            "mean": self.mean,
            **self.within.tensors("within_"),
            **self.overall.tensors(),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> RelativeMahalanobis:
        """The scorer that `tensors` were taken from."""
        return cls(
            tensors["class_means"],
            tensors["mean"],
            ShrunkGaussian.from_tensors(tensors, "within_"),
            ShrunkGaussian.from_tensors(tensors),
        )
