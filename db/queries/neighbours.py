"""Nearest rows by cosine: exact up to a million vectors, by an inverted file of FAISS beyond."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAISS_FROM = 1_000_000
CELLS_PER_ROOT = 4
PROBED_SHARE = 0.05
TRAIN_PER_CELL = 40

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """Vectors float32 (N, D) of length 1, and their FAISS index where there is one."""

    vectors: Vectors
    index: Any = None

    @classmethod
    def of(cls, vectors: Vectors, *, faiss_from: int = FAISS_FROM) -> Neighbours:
        """Index `vectors` when there are more than `faiss_from` and FAISS (an extra) is installed.

        Without it every search reads the whole matrix: exact, and slower in proportion.
        """
        if len(vectors) <= faiss_from or importlib.util.find_spec("faiss") is None:
            return cls(vectors)
        return cls(vectors, _inverted_file(vectors))

    def nearest(self, vector: Vectors, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and cosines of the `count` rows most like `vector` (D,), best first.

        Ties keep row order. With an index some true neighbours may be missing, and those found
        have their exact cosine.
        """
        unit = vector / max(float(np.linalg.norm(vector)), 1e-12)
        count = min(count, len(self.vectors))
        if count <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self.index is not None:
            cosine, rows = self.index.search(unit[None].astype(np.float32), count)
            found = rows[0] >= 0
            return rows[0][found].astype(np.int64), cosine[0][found]
        cosine = self.vectors @ unit
        best = np.argpartition(-cosine, count - 1)[:count]
        best = best[np.lexsort((best, -cosine[best]))]
        return best.astype(np.int64), cosine[best]


def _inverted_file(vectors: Vectors) -> Any:
    """Inner products over 4 sqrt(N) k-means cells, a twentieth of which a search looks into.

    Jegou, Douze & Schmid (2011), IEEE PAMI 33; the vectors themselves are kept whole.
    """
    import faiss

    cells = max(1, min(round(CELLS_PER_ROOT * len(vectors) ** 0.5), len(vectors) // TRAIN_PER_CELL))
    centres = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIVFFlat(centres, vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    step = max(1, len(vectors) // (TRAIN_PER_CELL * cells))
    index.train(np.ascontiguousarray(vectors[::step]))
    index.add(vectors)
    index.nprobe = max(8, round(PROBED_SHARE * cells))
    return index
