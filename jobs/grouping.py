"""Clusters and maps of the current detections: computed in a worker, stored by the owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db import clusters as kept
from db.clusters import Grouped, Kind
from db.store import Store
from jobs.errors import UsageError
from jobs.ids import stable_id
from jobs.learning import ODD
from jobs.pool import Workers

MOST_CLUSTERED = 4000
MOST_MAPPED = {"pca": 200_000, "tsne": 20_000}
CLOSE, FEWEST = 0.5, 3
Vectors = NDArray[np.float32]
Progress = Callable[[int, int], object]


def group(vectors: Vectors, close: float, fewest: int) -> Grouped:
    """In a worker: cluster the first 4,000 rows (N, D); the others join the nearest centre."""
    from engine.anomalies.clusters import cluster

    found = cluster(vectors[:MOST_CLUSTERED], close=close, fewest=fewest)
    later = found.nearest(vectors[MOST_CLUSTERED:], close)
    groups = np.concatenate([found.groups, later]).astype(np.int64)
    return Grouped(groups, cosines_with(vectors, found.centres, groups), found.centres,
                   found.examples)  # fmt: skip


def join(vectors: Vectors, centres: Vectors, close: float) -> tuple[NDArray[np.int64], Any]:
    """In a worker: the cluster of later rows (N, D), -1 where none is close, and their cosines."""
    from engine.anomalies.clusters import Clusters

    groups = Clusters(np.empty(0, np.int64), centres, (), ()).nearest(vectors, close)
    return groups, cosines_with(vectors, centres, groups)


def cosines_with(
    vectors: Vectors, centres: Vectors, groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The cosine of each row with the centre of its group; NaN for rows alone."""
    cosines = np.full(len(vectors), np.nan)
    inside = np.flatnonzero(groups >= 0)
    rows = vectors[inside].astype(np.float64)
    length = np.linalg.norm(rows, axis=1)
    dots = (rows * centres[groups[inside]]).sum(axis=1)
    cosines[inside] = dots / np.where(length > 0, length, 1.0)
    return cosines


def lay_out(vectors: Vectors, method: str, seed: int) -> tuple[NDArray[np.float64], float | None]:
    """In a worker: points (N, 2) of a map, and the share of variance that they explain."""
    from engine.anomalies import maps

    made = maps.lay_out(vectors, method, seed=seed)
    return made.points, made.explained


@dataclass(frozen=True)
class Grouper:
    """Answers "cluster" and "map" requests, and places what later scans bring."""

    store: Store
    workers: Workers
    clock: Callable[[], datetime]

    def cluster(
        self, request: Mapping[str, Any], progress: Progress = lambda _d, _t: None
    ) -> dict[str, Any]:
        """Cluster the current anomalies of each kind of vector.

        Payload: `verdicts` (candidate, near_miss, uncertain), `close` (cosine, 0.5), `fewest` (3),
        `kind` (an embedder: only its vectors). Raises UsageError where there is nothing to cluster,
        or a number that cannot be.
        """
        payload = request["payload"]
        verdicts = tuple(payload.get("verdicts") or ODD)
        close, fewest = float(payload.get("close", CLOSE)), int(payload.get("fewest", FEWEST))
        if not (-1 < close < 1 and fewest >= 2):
            raise UsageError(
                f"close must be a cosine between -1 and 1 and fewest at least 2, got {close:g} "
                f"and {fewest}"
            )
        found = self._kinds(payload.get("kind"))
        counts: dict[str, Any] = {"detections": 0, "grouped": 0, "clusters": 0}
        for done, kind in enumerate(found):
            progress(done, len(found))
            ids, vectors = kept.vectors_of(self.store, kind, verdicts, 2**31)
            if not ids:
                continue
            grouped = self.workers.run(group, vectors, close, fewest)
            clusters = kept.keep_clustering(
                self.store, kind, ids, grouped, close=close, fewest=fewest, verdicts=verdicts,
                clustering_id=stable_id("clustering", request["request_id"], kind),
                asked_by=request.get("asked_by", ""), now=self.clock(),
            )  # fmt: skip
            counts["detections"] += len(ids)
            counts["grouped"] += int((grouped.groups >= 0).sum())
            counts["clusters"] += clusters
        if not counts["detections"]:
            raise UsageError(f"no current detection is {' or '.join(verdicts)}: scan first")
        progress(len(found), len(found))
        return counts

    def map(
        self, request: Mapping[str, Any], progress: Progress = lambda _d, _t: None
    ) -> dict[str, Any]:
        """Lay the current detections of the commonest kind of vector out on a plane.

        Payload: `method` ("pca", "tsne"), `seed` (0). t-SNE takes 20,000 at most, the most
        anomalous ones; how many were left out is stored with the map. Raises UsageError.
        """
        method = str(request["payload"].get("method", "pca"))
        seed = int(request["payload"].get("seed", 0))
        if method not in MOST_MAPPED:
            raise UsageError(f"method must be one of {', '.join(MOST_MAPPED)}, got {method!r}")
        found = kept.kinds(self.store)
        if not found:
            raise UsageError("no current detection has a search vector: scan first")
        progress(0, 2)
        ids, vectors = kept.vectors_of(self.store, found[0], (), 2**31)
        most = MOST_MAPPED[method]
        points, explained = self.workers.run(lay_out, vectors[:most], method, seed)
        progress(1, 2)
        map_id = stable_id("map", request["request_id"])
        kept.keep_map(
            self.store, found[0], method, ids[:most], points, map_id=map_id, seed=seed,
            left_out=max(len(ids) - most, 0), explained=explained,
            asked_by=request.get("asked_by", ""), now=self.clock(),
        )  # fmt: skip
        progress(2, 2)
        return {"map_id": map_id, "detections": len(ids[:most]),
                "left_out": max(len(ids) - most, 0)}  # fmt: skip

    def place_new(self) -> int:
        """Let detections that came since join the clusters they are close to; return how many."""
        placed = 0
        for kind in kept.kinds(self.store):
            new = kept.unplaced(self.store, kind)
            if new is None:
                continue
            clustering_id, ids, vectors, centres = new
            close = self._close(clustering_id)
            groups, cosines = self.workers.run(join, vectors, centres, close)
            kept.place(self.store, clustering_id, ids, groups, cosines, self.clock())
            placed += len(ids)
        return placed

    def _kinds(self, embedder: str | None) -> list[Kind]:
        """The kinds of vectors, or those of one embedder alone."""
        found = list(kept.kinds(self.store))
        if embedder is None:
            return found
        chosen = [kind for kind in found if kind.embedder == embedder]
        if not chosen:
            known = ", ".join(sorted({kind.embedder for kind in found})) or "none yet"
            raise UsageError(f"no search vectors of {embedder!r}: there are {known}")
        return chosen

    def _close(self, clustering_id: str) -> float:
        sql = "SELECT close FROM clusterings WHERE clustering_id = ?"
        return float(self.store.rows(sql, [clustering_id])[0]["close"])


def verdicts_named(text: Sequence[str]) -> tuple[str, ...]:
    """Verdicts from a call. Raises UsageError for one that does not exist."""
    known = (*ODD, "normal", "artefact")
    for each in text:
        if each not in known:
            raise UsageError(f"verdicts are {', '.join(known)}; got {each!r}")
    return tuple(text)
