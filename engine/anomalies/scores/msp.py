"""Maximum softmax probability: how unsure the class head is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from engine.anomalies.scores.base import Features, Scores, Tensors
from engine.anomalies.scores.class_head import ClassHead


def msp_score(logits: NDArray[np.floating]) -> Scores:
    """1 - max_k softmax(logits)_k, float64 (N,), in [0, 1 - 1/K].

    Hendrycks & Gimpel (2017), ICLR, with the sign turned: higher is more anomalous.
    """
    return np.asarray(1.0 - softmax(logits.astype(np.float64), axis=1).max(axis=1))


@dataclass(frozen=True)
class MaximumSoftmax:
    """`msp_score` of a class head's logits."""

    head: ClassHead
    method: ClassVar[str] = "msp"

    def score(self, features: Features) -> Scores:
        """1 - max softmax, float64 (N,)."""
        return msp_score(self.head.logits(features))

    def tensors(self) -> Tensors:
        """The head's tensors."""
        return self.head.tensors()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> MaximumSoftmax:
        """The scorer over the head that `tensors` were taken from."""
        return cls(ClassHead.from_tensors(tensors))
