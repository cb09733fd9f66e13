"""Entropy of the class head's probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from engine.anomalies.scores.base import Features, Scores, Tensors
from engine.anomalies.scores.class_head import ClassHead


def entropy_score(logits: NDArray[np.floating]) -> Scores:
    """H = -sum_k p_k log p_k of p = softmax(logits), float64 (N,), in [0, log K] nats.

    Shannon (1948), Bell System Technical Journal 27; higher is more anomalous.
    """
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    return np.asarray(-np.sum(np.exp(log_p) * log_p, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class ClassEntropy:
    """`entropy_score` of a class head's logits."""

    head: ClassHead
    method: ClassVar[str] = "entropy"

    def score(self, features: Features) -> Scores:
        """Entropies, float64 (N,), in nats."""
        return entropy_score(self.head.logits(features))

    def tensors(self) -> Tensors:
        """The head's tensors."""
        return self.head.tensors()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> ClassEntropy:
        """The scorer over the head that `tensors` were taken from."""
        return cls(ClassHead.from_tensors(tensors))
