"""Virtual-logit matching: what the normals' subspace leaves over, against the class logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from engine.anomalies.scores.base import Features, Scores, Tensors, check_fit, principal_directions
from engine.anomalies.scores.class_head import ClassHead

EXPLAINED_VARIANCE = 0.95
MAX_COMPONENTS = 128


@dataclass(frozen=True)
class VirtualLogit:
    """alpha |r| - logsumexp(logits), r the residual of the centred features off their subspace.

    z are the head's z-scored features, centred at o = -pinv(W) b where all its logits vanish; r is
    z - o without its part in the span of the k leading principal directions of the normals'
    z - o (k the fewest that hold 95 % of the energy, at most 128). alpha = sum of the normals'
    largest logits / sum of their |r|. Wang et al. (2022), CVPR. Higher is more anomalous.
    """

    head: ClassHead
    origin: NDArray[np.float32]
    components: NDArray[np.float32]
    alpha: NDArray[np.float32]
    method: ClassVar[str] = "vim"

    @classmethod
    def fit(cls, features: Features, head: ClassHead) -> VirtualLogit:
        """Fit on the normals, float32 (N, D), that `head` was fitted on."""
        check_fit(features)
        weight = head.weight.astype(np.float64)
        origin = -np.linalg.pinv(weight) @ head.bias.astype(np.float64)
        centred = head.standardiser.apply(features) - origin
        squared, directions = principal_directions(centred, MAX_COMPONENTS)
        share = np.cumsum(squared) / max(float(np.sum(centred**2)), 1e-12)
        count = int(np.searchsorted(share, EXPLAINED_VARIANCE - 1e-12)) + 1
        components = directions[: max(1, min(count, MAX_COMPONENTS, min(centred.shape) - 1))]
        norms = _residual_norm(centred, components)
        largest = head.logits(features).max(axis=1)
        alpha = float(np.sum(largest)) / max(float(np.sum(norms)), 1e-12)
        return cls(
            head,
            origin.astype(np.float32),
            components.astype(np.float32),
            np.array([alpha], dtype=np.float32),
        )

    def score(self, features: Features) -> Scores:
        """Virtual logit minus free-energy logit, float64 (N,), in nats."""
        centred = self.head.standardiser.apply(features) - self.origin
        virtual = float(self.alpha[0]) * _residual_norm(centred, self.components)
        known = logsumexp(self.head.logits(features), axis=1)
        return np.asarray(virtual - known, dtype=np.float64)

    def tensors(self) -> Tensors:
        """The head's tensors, and the subspace."""
        own = {"origin": self.origin, "components": self.components, "alpha": self.alpha}
        return {**self.head.tensors(), **own}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> VirtualLogit:
        """The scorer that `tensors` were taken from."""
        head = ClassHead.from_tensors(tensors)
        return cls(head, tensors["origin"], tensors["components"], tensors["alpha"])


def _residual_norm(centred: Scores, components: NDArray[np.floating]) -> Scores:
    along = centred @ components.T.astype(np.float64)
    squared = np.sum(centred**2, axis=1) - np.sum(along**2, axis=1)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)), dtype=np.float64)
