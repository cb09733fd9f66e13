"""Clusters of detections and what people call them, and maps of their search vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from db.batches import Row
from db.errors import ConflictError, StoreError
from db.store import Store

LONGEST_NAME = 80
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """Search vectors that can be compared: of one embedder and of one length."""

    embedder: str
    dimension: int


@dataclass(frozen=True)
class Grouped:
    """What was found: a group number for each row (-1 alone), and its cosine with the centre.

    `centres` is float32 (K, D) of length 1, `examples` the row that stands for each group.
    """

    groups: NDArray[np.int64]
    cosines: NDArray[np.float64]
    centres: Vectors
    examples: tuple[int, ...]


def vectors_of(
    store: Store, kind: Kind, verdicts: Sequence[str], limit: int
) -> tuple[tuple[str, ...], Vectors]:
    """Ids and vectors float32 (N, D) of current detections, the most anomalous first.

    An empty `verdicts` takes every verdict.
    """
    table = store.table(
        """
        SELECT e.detection_id, e.vector FROM embeddings e
        JOIN detections d USING (detection_id) JOIN current_runs r USING (run_id)
        WHERE e.embedder = $1 AND len(e.vector) = $2
          AND (len($3::VARCHAR[]) = 0 OR list_contains($3::VARCHAR[], d.verdict))
        ORDER BY d.verdict = 'artefact', d.p_value NULLS LAST, d.rank_score DESC NULLS LAST,
                 e.detection_id
        LIMIT $4
        """,
        [kind.embedder, kind.dimension, list(verdicts), limit],
    )
    return _ids_and_vectors(table, kind.dimension)


def kinds(store: Store) -> list[Kind]:
    """The kinds of vector that current detections have, the commonest first."""
    rows = store.rows(
        """
        SELECT e.embedder, len(e.vector) AS dimension FROM embeddings e
        JOIN detections d USING (detection_id) JOIN current_runs r USING (run_id)
        GROUP BY ALL ORDER BY count(*) DESC, e.embedder, dimension
        """
    )
    return [Kind(row["embedder"], row["dimension"]) for row in rows]


def keep_clustering(
    store: Store,
    kind: Kind,
    ids: Sequence[str],
    found: Grouped,
    *,
    clustering_id: str,
    close: float,
    fewest: int,
    verdicts: Sequence[str],
    asked_by: str,
    now: datetime,
) -> int:
    """Write a clustering with its members and return how many clusters it has.

    A cluster takes over the key of the earlier cluster with which it shares the most members, if
    those are the larger part of that cluster's members that are still there; each key goes to one
    cluster, the largest share first. The same `clustering_id` again changes nothing.
    """
    keys = _inherited(_earlier_members(store, kind), ids, found.groups)
    names = [f"{clustering_id}-{number}" for number in range(len(found.centres))]
    clusters: list[Row] = [
        {
            "cluster_id": name,
            "clustering_id": clustering_id,
            "cluster_key": keys.get(number, name),
            "number": number,
            "example": ids[found.examples[number]],
            "centre": found.centres[number],
        }
        for number, name in enumerate(names)
    ]
    clustering: Row = {
        "clustering_id": clustering_id, "embedder": kind.embedder, "dimension": kind.dimension,
        "close": close, "fewest": fewest, "verdicts": ",".join(verdicts), "detections": len(ids),
        "grouped": int((found.groups >= 0).sum()), "asked_by": asked_by, "made_at": now,
    }  # fmt: skip
    members = _members(clustering_id, names, ids, found.groups, found.cosines, now)
    store.write({"clusterings": [clustering], "clusters": clusters, "cluster_members": members})
    return len(clusters)


def unplaced(store: Store, kind: Kind) -> tuple[str, tuple[str, ...], Vectors, Vectors] | None:
    """The current clustering of a kind with its centres (K, D), and detections not in it yet.

    Returns (clustering_id, ids, vectors (N, D), centres (K, D)); None where there is no clustering
    or nothing new. Detections of the verdicts that it was made of count.
    """
    holding = store.rows(
        "SELECT clustering_id, verdicts FROM current_clusterings "
        "WHERE embedder = $1 AND dimension = $2",
        [kind.embedder, kind.dimension],
    )
    if not holding:
        return None
    clustering_id, verdicts = holding[0]["clustering_id"], holding[0]["verdicts"]
    table = store.table(
        """
        SELECT e.detection_id, e.vector FROM embeddings e
        JOIN detections d USING (detection_id) JOIN current_runs r USING (run_id)
        WHERE e.embedder = $1 AND len(e.vector) = $2
          AND list_contains(string_split($3, ','), d.verdict)
          AND e.detection_id NOT IN (
              SELECT detection_id FROM cluster_members WHERE clustering_id = $4)
        ORDER BY e.detection_id
        """,
        [kind.embedder, kind.dimension, verdicts, clustering_id],
    )
    ids, vectors = _ids_and_vectors(table, kind.dimension)
    if not ids:
        return None
    sql = "SELECT centre FROM clusters WHERE clustering_id = $1 ORDER BY number"
    centres = [row["centre"] for row in store.rows(sql, [clustering_id])]
    matrix = np.asarray(centres, dtype=np.float32).reshape(-1, kind.dimension)
    return clustering_id, ids, vectors, matrix


def place(
    store: Store,
    clustering_id: str,
    ids: Sequence[str],
    groups: NDArray[np.int64],
    cosines: NDArray[np.float64],
    now: datetime,
) -> None:
    """Let later detections join the clusters of a clustering."""
    sql = "SELECT cluster_id FROM clusters WHERE clustering_id = $1 ORDER BY number"
    names = [row["cluster_id"] for row in store.rows(sql, [clustering_id])]
    store.write({"cluster_members": _members(clustering_id, names, ids, groups, cosines, now)})


def name_cluster(
    store: Store, *, naming_id: str, cluster_key: str, name: str, named_by: str, now: datetime
) -> Row:
    """Give a cluster a name, or take it away with an empty one; return the row.

    The same `naming_id` again changes nothing. Raises StoreError for an unknown cluster, a name
    that is too long or nobody's, ConflictError when `naming_id` said something else.
    """
    name, named_by = " ".join(name.split()), named_by.strip()
    if len(name) > LONGEST_NAME:
        raise StoreError(f"a cluster's name has at most {LONGEST_NAME} letters, got {len(name)}")
    if not named_by:
        raise StoreError("expected the name of who names the cluster, got an empty one")
    if not store.rows("SELECT 1 FROM clusters WHERE cluster_key = $1 LIMIT 1", [cluster_key]):
        raise StoreError(f"expected the key of a cluster, got {cluster_key!r}: unknown")
    row = {"naming_id": naming_id, "cluster_key": cluster_key, "name": name, "named_by": named_by}
    store.write({"cluster_names": [{**row, "named_at": now}]})
    (kept,) = store.rows("SELECT * FROM cluster_names WHERE naming_id = $1", [naming_id])
    if any(kept[column] != value for column, value in row.items()):
        raise ConflictError(f"naming {naming_id} said something else: use a new id for a new name")
    return kept


def keep_map(
    store: Store,
    kind: Kind,
    method: str,
    ids: Sequence[str],
    points: NDArray[np.float64],
    *,
    map_id: str,
    seed: int,
    left_out: int,
    explained: float | None,
    asked_by: str,
    now: datetime,
) -> None:
    """Write a map: points float64 (N, 2) of the detections `ids`; again changes nothing."""
    row: Row = {
        "map_id": map_id, "method": method, "embedder": kind.embedder,
        "dimension": kind.dimension, "seed": seed, "detections": len(ids), "left_out": left_out,
        "explained": explained, "asked_by": asked_by, "made_at": now,
    }  # fmt: skip
    placed = [
        {"map_id": map_id, "detection_id": name, "x": float(x), "y": float(y)}
        for name, (x, y) in zip(ids, points, strict=True)
    ]
    store.write({"maps": [row], "map_points": placed})


def _ids_and_vectors(table: pa.Table, dimension: int) -> tuple[tuple[str, ...], Vectors]:
    flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = np.asarray(flat, dtype=np.float32).reshape(-1, dimension)
    return tuple(table.column("detection_id").to_pylist()), vectors


def _members(
    clustering_id: str,
    names: Sequence[str],
    ids: Sequence[str],
    groups: NDArray[np.int64],
    cosines: NDArray[np.float64],
    now: datetime,
) -> list[Row]:
    return [
        {
            "clustering_id": clustering_id,
            "detection_id": detection_id,
            "cluster_id": names[group] if group >= 0 else None,
            "cosine": float(cosine) if group >= 0 else None,
            "joined_at": now,
        }
        for detection_id, group, cosine in zip(ids, groups, cosines, strict=True)
    ]


def _earlier_members(store: Store, kind: Kind) -> dict[str, str]:
    rows = store.rows(
        """
        SELECT m.detection_id, m.cluster_key FROM current_cluster_members m
        JOIN clusterings g ON g.clustering_id = m.clustering_id
        WHERE g.embedder = $1 AND g.dimension = $2
        """,
        [kind.embedder, kind.dimension],
    )
    return {row["detection_id"]: row["cluster_key"] for row in rows}


def _inherited(
    earlier: dict[str, str], ids: Sequence[str], groups: NDArray[np.int64]
) -> dict[int, str]:
    """Which new group goes on with which earlier key."""
    shared: dict[tuple[str, int], int] = {}
    living: dict[str, int] = {}
    for detection_id, group in zip(ids, groups, strict=True):
        key = earlier.get(detection_id)
        if key is None:
            continue
        living[key] = living.get(key, 0) + 1
        if group >= 0:
            shared[key, int(group)] = shared.get((key, int(group)), 0) + 1
    taken: dict[int, str] = {}
    for (key, group), count in sorted(shared.items(), key=lambda each: (-each[1], each[0])):
        if 2 * count > living[key] and group not in taken and key not in taken.values():
            taken[group] = key
    return taken
