"""Gold items: detections of which the truth is known, and what is measured by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.errors import StoreError
from db.labels import KINDS
from db.queries.paging import Page, Reads, Row, keyed_page, rows_to_fetch, start_of_page
from db.store import Store

ORIGINS = ("injection", "expert")


def set_gold(
    store: Store,
    items: Sequence[tuple[str, str]],
    *,
    origin: str,
    set_by: str,
    now: datetime,
    note: str = "",
) -> int:
    """Keep the true kind of detections, given as (detection_id, kind); return how many are new.

    What is gold already stays as it is. Raises StoreError for an unknown detection, kind or origin.
    """
    if origin not in ORIGINS:
        raise StoreError(f"expected an origin ({', '.join(ORIGINS)}), got {origin!r}")
    wrong = [kind for _, kind in items if kind not in KINDS or kind == "unsure"]
    if wrong:
        known = ", ".join(kind for kind in KINDS if kind != "unsure")
        raise StoreError(f"expected a kind that can be true ({known}), got {wrong[0]!r}")
    ids = [detection_id for detection_id, _ in items]
    table = store.table(
        "SELECT detection_id FROM detections WHERE list_contains($1::VARCHAR[], detection_id)",
        [ids],
    )
    missing = sorted(set(ids) - set(table["detection_id"].to_pylist()))
    if missing:
        raise StoreError(f"expected the id of a detection, got {missing[0]!r}: unknown")
    rows: list[dict[str, Any]] = [
        {
            "detection_id": detection_id, "kind": kind, "origin": origin, "note": note,
            "set_by": set_by, "set_at": now,
        }
        for detection_id, kind in items
    ]  # fmt: skip
    return store.write({"gold_items": rows})["gold_items"]


def remove_gold(store: Store, detection_id: str) -> None:
    """Forget that a detection is gold; StoreError if it is not."""
    gone = store.move(
        "DELETE FROM gold_items WHERE detection_id = ? RETURNING detection_id", [detection_id]
    )
    if not gone:
        raise StoreError(f"{detection_id!r} is no gold item: nothing to remove")


def gold_items(store: Reads, *, limit: int = 200, cursor: str | None = None) -> Page:
    """List the gold items with the machine's verdict and how many people are right, newest first.

    Raises StoreError on a cursor or limit that cannot be.
    """
    rows = store.rows(
        """
        WITH said AS (
            SELECT g.detection_id, count(*) AS judged,
                   count(*) FILTER (l.kind = g.kind) AS same_kind
            FROM gold_items g JOIN current_labels l USING (detection_id) GROUP BY g.detection_id
        )
        SELECT g.*, d.verdict, d.p_value, d.cutout_file, d.frame_digest, o.source, o.object_id,
               coalesce(s.judged, 0) AS judged, coalesce(s.same_kind, 0) AS same_kind,
               0::DOUBLE AS key_0, -epoch_us(g.set_at)::DOUBLE AS key_1
        FROM gold_items g JOIN detections d USING (detection_id)
        LEFT JOIN said s ON s.detection_id = g.detection_id
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE $3::VARCHAR IS NULL
           OR (key_0, key_1, g.detection_id) > ($1::DOUBLE, $2::DOUBLE, $3)
        ORDER BY key_0, key_1, g.detection_id LIMIT $4
        """,
        [*start_of_page(cursor, keys=3), rows_to_fetch(limit)],
    )
    return keyed_page(rows, limit)


def gold_count(store: Reads) -> int:
    """Count the gold items."""
    return int(store.rows("SELECT count(*) AS n FROM gold_items")[0]["n"])


# Which gold kinds are finds: what `db.labels.KINDS` calls accept.
_TRUE = "g.kind = 'astrophysical'"


def labellers_by_gold(store: Reads) -> list[Row]:
    """Measure each labeller: how many true finds they accept, and how many accepted ones are true.

    completeness = accepted finds / finds judged, purity = accepted finds / accepted, same_kind =
    share called by the very kind; each NULL where there is nothing to divide by.
    """
    return store.rows(
        f"""
        SELECT l.labeller, count(*) AS judged, count(*) FILTER ({_TRUE}) AS finds,
               count(*) FILTER (l.label = 'accept') AS accepted,
               count(*) FILTER ({_TRUE} AND l.label = 'accept') AS accepted_finds,
               accepted_finds / nullif(finds, 0) AS completeness,
               accepted_finds / nullif(accepted, 0) AS purity,
               count(*) FILTER (l.kind = g.kind) / nullif(count(l.kind), 0) AS same_kind
        FROM gold_items g JOIN current_labels l USING (detection_id)
        GROUP BY l.labeller ORDER BY l.labeller
        """  # noqa: S608  the piece is this module's own
    )


def pipeline_by_gold(store: Reads) -> list[Row]:
    """Measure the machine by night and source: completeness and purity of its candidates.

    Over gold items only: injected anomalies and normals of simulated nights, experts' judgements.
    """
    return store.rows(
        f"""
        SELECT CAST(d.detected_at AS DATE) AS night, coalesce(o.source, '') AS source,
               count(*) AS items, count(*) FILTER ({_TRUE}) AS finds,
               count(*) FILTER (d.verdict = 'candidate') AS candidates,
               count(*) FILTER ({_TRUE} AND d.verdict = 'candidate') AS found,
               found / nullif(finds, 0) AS completeness,
               found / nullif(candidates, 0) AS purity
        FROM gold_items g JOIN detections d USING (detection_id)
        JOIN current_runs USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        GROUP BY ALL ORDER BY night DESC, source
        """  # noqa: S608  the piece is this module's own
    )
