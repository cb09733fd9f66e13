"""A linear softmax classifier over embeddings; MSP and energy read its logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from engine.anomalies.scores.base import Features, Scores, Standardiser, Tensors
from engine.errors import CalibrationError

REGULARISATION = 0.1


@dataclass(frozen=True)
class ClassHead:
    """Multinomial logistic regression: logits = W z + b over the z-scored features."""

    standardiser: Standardiser
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def fit(
        cls, features: Features, labels: Sequence[str], *, C: float = REGULARISATION
    ) -> tuple[ClassHead, tuple[str, ...]]:
        """Fit on features float32 (N, D) and one class name a row; return head and class names.

        `C` is the inverse of the L2 penalty. Raises CalibrationError with fewer than two classes.
        """
        names = tuple(sorted(set(labels)))
        if len(names) < 2:
            raise CalibrationError(f"a class head needs at least two classes, got {names}")
        standardiser = Standardiser.fit(features)
        model = LogisticRegression(C=C, max_iter=500)
        model.fit(standardiser.apply(features), [names.index(label) for label in labels])
        weight, bias = model.coef_, model.intercept_
        if len(names) == 2:
            weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(standardiser, weight.astype(np.float32), bias.astype(np.float32)), names

    def logits(self, features: Features) -> Scores:
        """Logits float64 (N, K)."""
        z = self.standardiser.apply(features)
        return np.asarray(z @ self.weight.T.astype(np.float64) + self.bias, dtype=np.float64)

    def probabilities(self, features: Features) -> Scores:
        """Class probabilities float64 (N, K), rows sum to 1."""
        return np.asarray(softmax(self.logits(features), axis=1), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "mean": self.standardiser.mean,
            "scale": self.standardiser.scale,
            "weight": self.weight,
            "bias": self.bias,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> ClassHead:
        """The head that `tensors` were taken from."""
        return cls(
            Standardiser(tensors["mean"], tensors["scale"]), tensors["weight"], tensors["bias"]
        )
