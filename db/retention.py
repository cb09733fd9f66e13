"""Giving up files to keep within a disk budget; digests, scores, labels and previews stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.store import Store

Row = dict[str, Any]

STAGES = (
    (
        "pixels of a normal",
        """NOT EXISTS (SELECT 1 FROM detections d WHERE d.frame_digest = f.frame_digest
                       AND d.verdict IN ('candidate', 'near_miss', 'uncertain'))""",
    ),
    (
        "pixels of a near miss",
        """NOT EXISTS (SELECT 1 FROM detections d WHERE d.frame_digest = f.frame_digest
                       AND d.verdict = 'candidate')""",
    ),
)
"""What may be given up, in this order. Frames that people labelled or edited never are."""


def expendable(store: Store, stage: int, limit: int) -> list[Row]:
    """Frames whose pixels may be given up in a stage, oldest first, with their bulky files.

    A frame that was never judged (no successful run of the anomaly pipeline) is kept: it is not
    known to be normal.
    """
    _, condition = STAGES[stage]
    return store.rows(
        f"""SELECT f.frame_digest, f.pixels_file,
                   list_distinct(list(c.probability_array) FILTER (c.probability_array IS NOT NULL))
                       AS arrays
            FROM frames f
            LEFT JOIN runs r ON r.frame_digest = f.frame_digest AND r.pipeline = 'cosmicrays'
            LEFT JOIN cosmic_ray_runs c ON c.run_id = r.run_id
            WHERE f.frame_digest NOT IN (SELECT frame_digest FROM released_files)
              AND {condition}
              AND EXISTS (SELECT 1 FROM runs a WHERE a.frame_digest = f.frame_digest
                          AND a.pipeline = 'anomaly' AND a.status = 'ok')
              AND NOT EXISTS (SELECT 1 FROM detections d JOIN labels l USING (detection_id)
                              WHERE d.frame_digest = f.frame_digest)
              AND NOT EXISTS (SELECT 1 FROM mask_edits e WHERE e.frame_digest = f.frame_digest)
            GROUP BY f.frame_digest, f.pixels_file, f.stored_at
            ORDER BY f.stored_at, f.frame_digest LIMIT ?""",  # noqa: S608  a constant of this file
        [limit],
    )


def still_named(store: Store, files: Sequence[str], frame_digest: str) -> set[str]:
    """Which of these files something else than this frame's own pixels and arrays names."""
    named: set[str] = set()
    for table, columns in store.tables.items():
        for column in columns:
            if not column.endswith(("_file", "_array")):
                continue
            own = {
                ("frames", "pixels_file"): "frame_digest",
                ("cosmic_ray_runs", "probability_array"): "run_id",
            }.get((table, column))
            but = "" if own is None else f"AND {_OWN[own]}"
            rows = store.rows(
                f"SELECT DISTINCT {column} AS file FROM {table} "  # noqa: S608  names of the schema
                f"WHERE list_contains($1, {column}) {but}",
                [list(files)] if own is None else [list(files), frame_digest],
            )
            named |= {row["file"] for row in rows}
    return named


_OWN = {
    "frame_digest": "frame_digest <> $2",
    "run_id": "run_id NOT IN (SELECT run_id FROM runs WHERE frame_digest = $2)",
}


def note_released(
    store: Store, frame_digest: str, files: dict[str, int], reason: str, now: datetime
) -> None:
    """Keep that files (digest -> bytes) of a frame are given up, before they are removed."""
    rows = [
        {
            "file_digest": digest,
            "frame_digest": frame_digest,
            "bytes": size,
            "reason": reason,
            "released_at": now,
        }
        for digest, size in files.items()
    ]
    store.write({"released_files": rows})


def released_at(store: Store, frame_digest: str) -> datetime | None:
    """When the pixels of a frame were given up; None where they were not."""
    rows = store.rows(
        "SELECT max(released_at) AS released_at FROM released_files WHERE frame_digest = ?",
        [frame_digest],
    )
    found: datetime | None = rows[0]["released_at"] if rows else None
    return found


def unfinished(store: Store) -> list[str]:
    """Files that are noted as given up and lie there still, since their removal was interrupted."""
    noted = store.rows("SELECT file_digest, frame_digest FROM released_files ORDER BY ALL")
    left = [row for row in noted if store.files.exists(row["file_digest"])]
    return [
        row["file_digest"]
        for row in left
        if not still_named(store, [row["file_digest"]], row["frame_digest"])
    ]
