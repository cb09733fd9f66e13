"""Schedules: which source is scanned how often."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.errors import ConflictError
from db.store import Store

Schedule = dict[str, Any]


def list_schedules(store: Store) -> list[Schedule]:
    """Return all schedules, oldest first."""
    return store.rows("SELECT * FROM schedules ORDER BY created_at, schedule_id")


def put_schedule(
    store: Store,
    *,
    schedule_id: str,
    source: str,
    every_s: float,
    frame_limit: int | None = None,
    paused: bool = False,
    now: datetime,
) -> Schedule:
    """Add a schedule, or change the interval, limit and pause of one; return it.

    `every_s` in seconds, above 0. Raises ConflictError when the id belongs to another source.
    """
    put = store.move(
        """
        INSERT INTO schedules
            (schedule_id, source, every_s, frame_limit, paused, created_at, changed_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (schedule_id) DO UPDATE SET every_s = excluded.every_s,
            frame_limit = excluded.frame_limit, paused = excluded.paused,
            changed_at = excluded.changed_at
        WHERE schedules.source = excluded.source
        RETURNING *
        """,
        [schedule_id, source, every_s, frame_limit, paused, now, now],
    )
    if not put:
        raise ConflictError(
            f"schedule {schedule_id} belongs to another source than {source}; "
            "remove it first, or use a new id"
        )
    return put[0]


def remove_schedule(store: Store, schedule_id: str) -> bool:
    """Remove a schedule and say whether it was there; its cycles stay."""
    sql = "DELETE FROM schedules WHERE schedule_id = ? RETURNING schedule_id"
    return bool(store.move(sql, [schedule_id]))
