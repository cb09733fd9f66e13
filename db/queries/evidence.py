"""What speaks for and against a detection: nuisances, versions, artefacts, look-alikes, claims."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from db.queries.neighbours import Neighbours, Vectors
from db.queries.paging import Reads, Row, only_row
from db.queries.vectors import fingerprint

NEAR_BITS = 6


def evidence(store: Reads, detection_id: str) -> Row | None:
    """Return the evidence row of one detection, None where it was judged without."""
    return only_row(
        store.rows(
            """
            SELECT e.*, m.name AS artefact_model_name FROM detection_evidence e
            LEFT JOIN models m ON m.model_digest = e.artefact_model WHERE detection_id = $1
            """,
            [detection_id],
        )
    )


def versions(store: Reads, detection_id: str) -> list[Row]:
    """List a detection on the raw, the cleaned and the decoded frame, with the combined score.

    `statistic`, `percentile` and `p_value` are NULL where the reference does not apply.
    """
    return store.rows(
        """
        SELECT v.version, v.flux, v.snr, v.found, s.raw AS statistic, s.percentile, s.p_value
        FROM detection_versions v
        LEFT JOIN version_scores s
               ON s.detection_id = v.detection_id AND s.version = v.version
              AND s.method = 'combined'
        WHERE v.detection_id = $1
        ORDER BY list_position(['raw', 'cleaned', 'decoded'], v.version)
        """,
        [detection_id],
    )


def version_scores(store: Reads, detection_id: str) -> list[Row]:
    """List every method's score of one detection on every version of its frame."""
    return store.rows(
        """
        SELECT version, method, raw, percentile, p_value FROM version_scores
        WHERE detection_id = $1
        ORDER BY method, list_position(['raw', 'cleaned', 'decoded'], version)
        """,
        [detection_id],
    )


def contributions(store: Reads, detection_id: str) -> list[Row]:
    """List the shares that methods have in the combined score, largest first."""
    return store.rows(
        """
        SELECT method, share FROM score_contributions WHERE detection_id = $1
        ORDER BY share DESC, method
        """,
        [detection_id],
    )


def products(store: Reads, frame_digest: str) -> list[Row]:
    """List the pictures made of a frame's time series."""
    return store.rows(
        """
        SELECT kind, product_file, cadences, note FROM frame_products WHERE frame_digest = $1
        ORDER BY kind
        """,
        [frame_digest],
    )


def transients(store: Reads, frame_digest: str | None = None, limit: int = 100) -> list[Row]:
    """List what flared up on one frame, or on all, most significant first."""
    return store.rows(
        """
        SELECT t.*, o.object_id, o.source FROM transients t
        LEFT JOIN current_observations o USING (frame_digest)
        WHERE $1::VARCHAR IS NULL OR frame_digest = $1
        ORDER BY peak_sigma DESC, transient_id LIMIT $2
        """,
        [frame_digest, limit],
    )


def duplicates(
    store: Reads, detection_id: str, bits: int = NEAR_BITS, limit: int = 50
) -> list[Row]:
    """List current detections whose perceptual hash differs in at most `bits` of 64, nearest first.

    The hash sees structure, not brightness: two stars of one frame can have the same.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.object_id,
               bit_count(xor(('0x' || e.perceptual_hash)::UBIGINT,
                             ('0x' || mine.perceptual_hash)::UBIGINT)) AS bits
        FROM detection_evidence mine
        JOIN detection_evidence e ON e.detection_id <> mine.detection_id
        JOIN detections d ON d.detection_id = e.detection_id
        JOIN current_runs r USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE mine.detection_id = $1
          AND bit_count(xor(('0x' || e.perceptual_hash)::UBIGINT,
                            ('0x' || mine.perceptual_hash)::UBIGINT)) <= $2
        ORDER BY bits, d.detection_id LIMIT $3
        """,
        [detection_id, bits, limit],
    )


def latest_lists(store: Reads) -> list[Row]:
    """List the newest night list of every source, newest first."""
    return store.rows(
        """
        SELECT * FROM night_lists
        QUALIFY row_number() OVER (PARTITION BY source ORDER BY made_at DESC, list_id DESC) = 1
        ORDER BY made_at DESC, list_id
        """
    )


def list_rows(store: Reads, list_id: str) -> list[Row]:
    """List the detections of one night list in its order."""
    return store.rows(
        """
        SELECT n.place, n.adjusted_p_value, n.is_discovery, d.detection_id, d.p_value, d.verdict,
               d.cutout_file, o.object_id, e.conditioned_p_value
        FROM night_list_rows n JOIN detections d USING (detection_id)
        LEFT JOIN detection_evidence e USING (detection_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE n.list_id = $1 ORDER BY n.place
        """,
        [list_id],
    )


def drift(store: Reads, source: str | None = None) -> list[Row]:
    """List the newest drift report of every source (or of one), the expired ones first."""
    return store.rows(
        """
        SELECT * FROM drift_reports
        WHERE $1::VARCHAR IS NULL OR source = $1
        QUALIFY row_number() OVER (
            PARTITION BY source ORDER BY measured_at DESC, report_id DESC) = 1
        ORDER BY expired DESC, source
        """,
        [source],
    )


def sky_context(store: Reads, frame_digest: str) -> Row | None:
    """Return where a frame's pixels lie and the header that says where it points."""
    return only_row(
        store.rows(
            """
            SELECT f.frame_digest, f.pixels_file, f.height, f.width, f.planes, o.header
            FROM frames f LEFT JOIN current_observations o USING (frame_digest)
            WHERE f.frame_digest = $1
            """,
            [frame_digest],
        )
    )


def calibration_of(store: Reads, source: str, model_digest: str) -> Row | None:
    """Return the newest calibration of a source with this model, None where it came as shipped."""
    return only_row(
        store.rows(
            """
            SELECT version, reference, fitted_on, calibrated_on, cause, reason, made_at
            FROM calibrations WHERE source = $1 AND model_digest = $2
            ORDER BY version DESC LIMIT 1
            """,
            [source, model_digest],
        )
    )


def runs_with_policies(store: Reads, frame_digest: str) -> list[Row]:
    """List the current runs on a frame with their models and policies, by pipeline."""
    return store.rows(
        """
        SELECT r.pipeline, r.status, r.model_digest, m.name AS model, m.registered_at,
               r.policy_digest, p.policy, r.cycle_id, r.finished_at
        FROM current_runs r
        LEFT JOIN models m USING (model_digest) LEFT JOIN policies p USING (policy_digest)
        WHERE r.frame_digest = $1 ORDER BY r.pipeline
        """,
        [frame_digest],
    )


@dataclass(frozen=True)
class _Matrix:
    """Search vectors of one embedder and length, scaled to length 1, and whose they are."""

    ids: tuple[str, ...]
    neighbours: Neighbours


class SearchReads(Reads, Protocol):
    """What a search needs of the store: Arrow tables, and a counter of its changes."""

    @property
    def changes(self) -> int:
        """How often the store changed."""
        ...

    def table(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return an Arrow table."""
        ...


@dataclass
class _Kept:
    """The matrices of one store, with its counter when they were last known to be right."""

    changes: int
    fingerprint: str
    matrices: dict[tuple[str, int], _Matrix] = field(default_factory=dict)


class SearchCache:
    """Matrices of search vectors, read anew when other detections or vectors are current.

    Labels change the store hundreds of times an hour, and no vector.
    """

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[SearchReads, _Kept] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def matrix(self, store: SearchReads, embedder: str, length: int) -> _Matrix:
        """The vectors of current detections of `embedder` with `length` numbers."""
        with self._lock:
            kept, changes = self._kept.get(store), store.changes
            if kept is None or kept.changes != changes:
                now = fingerprint(store)
                matrices = kept.matrices if kept is not None and kept.fingerprint == now else {}
                kept = self._kept[store] = _Kept(changes, now, matrices)
            if (embedder, length) not in kept.matrices:
                kept.matrices[embedder, length] = _read_matrix(store, embedder, length)
            return kept.matrices[embedder, length]


_CACHE = SearchCache()


def _read_matrix(store: SearchReads, embedder: str, length: int) -> _Matrix:
    rows = store.table(
        """
        SELECT e.detection_id, e.vector FROM embeddings e
        JOIN detections d USING (detection_id) JOIN current_runs r USING (run_id)
        WHERE e.embedder = $1 AND len(e.vector) = $2 ORDER BY e.detection_id
        """,
        [embedder, length],
    )
    flat = rows.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = np.asarray(flat, dtype=np.float32).reshape(-1, length)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return _Matrix(
        tuple(rows.column("detection_id").to_pylist()),
        Neighbours.of(np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)),
    )


def similar(
    store: SearchReads,
    detection_id: str,
    limit: int = 8,
    *,
    more: Sequence[str] = (),
    less: Sequence[str] = (),
    cache: SearchCache = _CACHE,
) -> list[Row]:
    """List the current detections whose search vectors point the most nearly the same way.

    `similarity` is the cosine in [-1, 1] between vectors of the same embedder and length, over a
    matrix kept until the vectors change. With further examples it is the cosine with the mean
    direction of the detection and `more`, less half the mean direction of `less` (Rocchio 1971,
    "The SMART Retrieval System"). The examples themselves are left out, those without a vector of
    this embedder say nothing, and a detection without a vector has no similar ones.
    """
    mine = store.rows("SELECT embedder, vector FROM embeddings WHERE detection_id = $1",
                      [detection_id])  # fmt: skip
    if not mine or limit < 1:
        return []
    vector = np.asarray(mine[0]["vector"], dtype=np.float32)
    if more or less:
        others = {
            row["detection_id"]: np.asarray(row["vector"], dtype=np.float32)
            for row in store.rows(
                "SELECT detection_id, vector FROM embeddings WHERE embedder = $1 "
                "AND len(vector) = $2 AND list_contains($3::VARCHAR[], detection_id)",
                [mine[0]["embedder"], len(vector), [*more, *less]],
            )
        }
        liked = [vector, *(others[name] for name in more if name in others)]
        vector = _mean_direction(liked)
        if disliked := [others[name] for name in less if name in others]:
            vector = vector - 0.5 * _mean_direction(disliked)
    examples = {detection_id, *more, *less}
    matrix = cache.matrix(store, mine[0]["embedder"], len(vector))
    best, cosine = matrix.neighbours.nearest(vector, limit + len(examples))
    found = {matrix.ids[row]: float(value) for row, value in zip(best, cosine, strict=True)}
    chosen = [name for name in found if name not in examples][:limit]
    rows = store.rows(
        """
        SELECT d.detection_id, d.verdict, d.p_value, d.class_name, d.cutout_file, o.object_id
        FROM detections d LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE list_contains($1::VARCHAR[], d.detection_id)
        """,
        [chosen],
    )
    by_id = {row["detection_id"]: row for row in rows}
    return [by_id[name] | {"similarity": found[name]} for name in chosen if name in by_id]


def _mean_direction(vectors: Sequence[Vectors]) -> Vectors:
    units = [vector / max(float(np.linalg.norm(vector)), 1e-12) for vector in vectors]
    return np.asarray(np.mean(units, axis=0), dtype=np.float32)
