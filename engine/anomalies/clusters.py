"""Groups of anomalies that people can name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from engine.errors import ModelError

FEWEST = 3
CLOSE_COSINE = 0.5
ALONE = -1


@dataclass(frozen=True)
class Clusters:
    """Group number of every row, -1 for rows alone; group 0 is the largest.

    `centres` float32 (K, D) of length 1 let later rows join a named group; `examples` holds the
    row nearest to each centre, `counts` the sizes.
    """

    groups: NDArray[np.int64]
    centres: NDArray[np.float32]
    examples: tuple[int, ...]
    counts: tuple[int, ...]

    def nearest(
        self, vectors: NDArray[np.float32], close: float = CLOSE_COSINE
    ) -> NDArray[np.int64]:
        """The group of new search vectors (N, D), -1 where no centre has a cosine of `close`."""
        if not len(self.centres):
            return np.full(len(vectors), ALONE, dtype=np.int64)
        cosine = _unit(vectors) @ self.centres.T
        return np.where(cosine.max(axis=1) >= close, cosine.argmax(axis=1), ALONE).astype(np.int64)


def cluster(
    vectors: NDArray[np.float32], *, close: float = CLOSE_COSINE, fewest: int = FEWEST
) -> Clusters:
    """Group search vectors float32 (N, D) whose mean cosine is at least `close`.

    Agglomerative clustering with average linkage on cosine distance, cut at 1 - `close` (Sokal &
    Michener 1958); groups of fewer than `fewest` rows are left alone. No number of groups has to
    be known, and the result depends on nothing random. Raises ModelError for vectors that are not
    finite rows, or `close` outside (-1, 1).
    """
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ModelError(f"vectors must be finite rows (N, D), got shape {vectors.shape}")
    if not -1 < close < 1:
        raise ModelError(f"close must be a cosine between -1 and 1, got {close}")
    units = _unit(vectors)
    if len(units) < fewest:
        return _described(units, np.full(len(units), ALONE, dtype=np.int64))
    model = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1 - close
    )
    found = model.fit_predict(units)
    sizes = np.bincount(found)
    first = {number: int(np.argmax(found == number)) for number in range(len(sizes))}
    kept = sorted(np.flatnonzero(sizes >= fewest), key=lambda k: (-sizes[k], first[int(k)]))
    renamed = np.full(len(sizes), ALONE, dtype=np.int64)
    renamed[kept] = np.arange(len(kept))
    return _described(units, renamed[found])


def _described(units: NDArray[np.float32], groups: NDArray[np.int64]) -> Clusters:
    count = int(groups.max(initial=ALONE)) + 1
    members = [np.flatnonzero(groups == number) for number in range(count)]
    centres = np.zeros((count, units.shape[1]), dtype=np.float32)
    for number, rows in enumerate(members):
        centres[number] = _unit(units[rows].mean(axis=0, keepdims=True))[0]
    examples = tuple(
        int(rows[np.argmax(units[rows] @ centres[number])]) for number, rows in enumerate(members)
    )
    return Clusters(groups, centres, examples, tuple(len(rows) for rows in members))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float32)
