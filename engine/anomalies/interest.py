"""Ranking that learns from people: what is odd, blended with what they found interesting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from engine.anomalies.scores.base import Features, Scores, Standardiser, principal_directions
from engine.errors import ModelError

DEEP_COMPONENTS, SHAPE_COMPONENTS = 48, 24
DEEP_SCALE, SHAPE_SCALE = 8.0, 3.0
INVERSE_PENALTY = 0.1
HALF_TRUST = 5
MOST_TRUST = 0.95


@dataclass(frozen=True)
class InterestSpace:
    """Candidates as short vectors, float64 (N, 48 + 24) or fewer, computed once a night.

    Per part the leading principal components of the z-scored columns, divided by 8 times their
    standard deviation (3 times for parts named "morphology"): a smaller scale is a stronger
    penalty for the regression, and deep features have more, weaker columns.
    """

    vectors: Scores

    @classmethod
    def of(cls, features: Features, parts: Mapping[str, slice]) -> InterestSpace:
        """Reduce embeddings float32 (N, D) with their `parts`; the pool itself is the reference.

        Raises ModelError with fewer than 3 rows.
        """
        if features.ndim != 2 or len(features) < 3:
            raise ModelError(f"ranking needs at least 3 candidates, got shape {features.shape}")
        groups: dict[bool, list[NDArray[np.float32]]] = {}
        for part, columns in parts.items():
            groups.setdefault("morphology" in part, []).append(features[:, columns])
        blocks = []
        for is_shape, members in groups.items():
            wanted = SHAPE_COMPONENTS if is_shape else DEEP_COMPONENTS
            scale = SHAPE_SCALE if is_shape else DEEP_SCALE
            blocks.append(_components(np.concatenate(members, axis=1), wanted) / scale)
        return cls(np.concatenate(blocks, axis=1))

    @property
    def size(self) -> int:
        """Number of candidates."""
        return len(self.vectors)


def rank_by_interest(
    space: InterestSpace, prior: NDArray[np.floating], labels: Mapping[int, bool]
) -> Scores:
    """Interest of every candidate in [0, 1], float64 (N,); higher should be shown first.

    b * rank(model) + (1 - b) * rank(prior), ranks over (0, 1]. `prior` (N,) is any anomaly score,
    higher = odder; `labels` maps row numbers to interesting or not. The model is logistic
    regression (C = 0.1, classes balanced) on the labelled rows, its weight b = n / (n + 5), at most
    0.95, for n interesting rows: one without both answers says nothing and the prior stands.
    Raises ModelError when the prior or a label does not fit the candidates.
    """
    if np.shape(prior) != (space.size,) or not np.isfinite(prior).all():
        raise ModelError(f"one finite prior per candidate is needed: {space.size}")
    if any(not 0 <= row < space.size for row in labels):
        raise ModelError(f"labels must name rows 0 to {space.size - 1}")
    oddity = rankdata(prior) / space.size
    rows = np.fromiter(labels, dtype=np.int64, count=len(labels))
    liked = np.array([labels[int(row)] for row in rows], dtype=np.bool_)
    if not liked.any() or liked.all():
        return np.asarray(oddity, dtype=np.float64)
    model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=200)
    model.fit(space.vectors[rows], liked)
    taste = rankdata(model.decision_function(space.vectors)) / space.size
    trust = min(MOST_TRUST, liked.sum() / (liked.sum() + HALF_TRUST))
    return np.asarray(trust * taste + (1 - trust) * oddity, dtype=np.float64)


def next_batch(interest: Scores, labelled: Sequence[int], count: int) -> NDArray[np.int64]:
    """The `count` most interesting rows without a label, best first; no random exploration."""
    order = np.lexsort((np.arange(len(interest)), -interest))
    known = np.isin(order, np.asarray(list(labelled), dtype=np.int64))
    return order[~known][:count].astype(np.int64)


def like_examples(
    vectors: NDArray[np.float32], more: Sequence[int], less: Sequence[int] = ()
) -> tuple[NDArray[np.int64], Scores]:
    """Rows ordered by "more like these, less like those", best first, with their scores.

    `vectors` float32 (N, D) are search vectors. Score = mean cosine to `more` minus half the mean
    cosine to `less`, about the pool's mean (Rocchio 1971, "The SMART Retrieval System"). The
    examples themselves are left out. Raises ModelError without an example, or with rows that are
    not there.
    """
    if not (len(more) or len(less)):
        raise ModelError("give at least one example: more like it, or less")
    if any(not 0 <= row < len(vectors) for row in (*more, *less)):
        raise ModelError(f"examples must be rows 0 to {len(vectors) - 1}")
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(length > 0, length, 1.0)
    score = np.zeros(len(vectors))
    if len(more):
        score += (unit @ unit[list(more)].T).mean(axis=1)
    if len(less):
        score -= 0.5 * (unit @ unit[list(less)].T).mean(axis=1)
    order = np.lexsort((np.arange(len(vectors)), -score)).astype(np.int64)
    order = order[~np.isin(order, [*more, *less])]
    return order, score[order]


def _components(features: Features, wanted: int) -> Scores:
    """Leading principal components over their standard deviation, float64 (N, <= wanted)."""
    z = Standardiser.fit(features).apply(features) if len(features) >= 8 else features
    centred = np.asarray(z - z.mean(axis=0), dtype=np.float64)
    _, directions = principal_directions(centred, wanted)
    scores = centred @ directions.T
    return np.asarray(scores / np.maximum(scores.std(axis=0), 1e-9), dtype=np.float64)
