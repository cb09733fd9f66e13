"""Free energy of the class head's logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from engine.anomalies.scores.base import Features, Scores, Tensors
from engine.anomalies.scores.class_head import ClassHead

TEMPERATURE = 1.0


def energy_score(logits: NDArray[np.floating], temperature: float = TEMPERATURE) -> Scores:
    """E = -T logsumexp(logits / T), float64 (N,); higher is more anomalous.

    Liu et al. (2020), NeurIPS. Raises ValueError for a temperature that is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    scaled = logits.astype(np.float64) / temperature
    return np.asarray(-temperature * logsumexp(scaled, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Energy:
    """`energy_score` of a class head's logits, at temperature 1."""

    head: ClassHead
    method: ClassVar[str] = "energy"

    def score(self, features: Features) -> Scores:
        """Energies, float64 (N,), in nats."""
        return energy_score(self.head.logits(features))

    def tensors(self) -> Tensors:
        """The head's tensors."""
        return self.head.tensors()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Energy:
        """The scorer over the head that `tensors` were taken from."""
        return cls(ClassHead.from_tensors(tensors))
