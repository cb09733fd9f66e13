"""The vote of three methods, each with a threshold from calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import Features, FittedScorer, Scores, Tensors
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax

RATE = 0.05


@dataclass(frozen=True)
class Vote:
    """Number of methods, of MSP, energy and Mahalanobis, above their threshold: 0, 1, 2 or 3.

    Each threshold is the score that at most 5 % of normals outside the fit exceed: the
    ceil(0.95 (n + 1))-th smallest of n (split conformal; Vovk et al. 2005, "Algorithmic Learning
    in a Random World"). A majority vote of confidence, energy and distance is a common rule; with
    thresholds of the fit rows or fixed by hand it keeps no rate. Higher is more anomalous.
    """

    msp: MaximumSoftmax
    energy: Energy
    mahalanobis: Mahalanobis
    thresholds: NDArray[np.float32]
    method: ClassVar[str] = "vote"

    @classmethod
    def fit(
        cls, msp: MaximumSoftmax, energy: Energy, mahalanobis: Mahalanobis, held_out: Features
    ) -> Vote:
        """Take thresholds from normals, float32 (N, D), that none of the three was fitted on."""
        votes = np.stack([method.score(held_out) for method in (msp, energy, mahalanobis)])
        rank = int(np.ceil((1 - RATE) * (len(held_out) + 1)))
        ordered = np.sort(votes, axis=1)
        beyond = rank > len(held_out)
        chosen = np.full(3, np.inf) if beyond else ordered[:, rank - 1]
        return cls(msp, energy, mahalanobis, chosen.astype(np.float32))

    def score(self, features: Features) -> Scores:
        """Votes, float64 (N,)."""
        members: tuple[FittedScorer, ...] = (self.msp, self.energy, self.mahalanobis)
        above = [
            member.score(features).astype(np.float32) > threshold
            for member, threshold in zip(members, self.thresholds, strict=True)
        ]
        return np.asarray(np.sum(above, axis=0), dtype=np.float64)

    def tensors(self) -> Tensors:
        """The members' tensors, and the thresholds."""
        head = {f"head_{name}": value for name, value in self.msp.tensors().items()}
        return {**head, **self.mahalanobis.tensors(), "thresholds": self.thresholds}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Vote:
        """The scorer that `tensors` were taken from."""
        head = {k.removeprefix("head_"): v for k, v in tensors.items() if k.startswith("head_")}
        return cls(
            MaximumSoftmax.from_tensors(head),
            Energy.from_tensors(head),
            Mahalanobis.from_tensors(tensors),
            tensors["thresholds"],
        )
