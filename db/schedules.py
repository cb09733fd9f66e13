"""Schedules: which source is scanned how often."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.errors import ConflictError, StoreError
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
    every_s: float | None,
    cron: str | None = None,
    frame_limit: int | None = None,
    paused: bool = False,
    kind: str = "scan",
    policy: str = "normal",
    choice: str = "fixed",
    now: datetime,
) -> Schedule:
    """Add a schedule, or change all but the source and kind of one; return it.

    `every_s` in seconds, above 0, or a `cron` line of five fields in UTC: one of the two. `kind` is
    what it asks for, `policy` "normal" or "aggressive", `choice` "fixed" or "thompson". Raises
    StoreError without a rhythm and ConflictError when the id belongs to another source.
    """
    if (every_s is None) == (cron is None):
        raise StoreError("a schedule needs an interval or a cron line, and not both")
    put = store.move(
        """
        INSERT INTO schedules (schedule_id, source, every_s, cron, frame_limit, paused, kind,
                               policy, choice, created_at, changed_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (schedule_id) DO UPDATE SET every_s = excluded.every_s, cron = excluded.cron,
            frame_limit = excluded.frame_limit, paused = excluded.paused,
            policy = excluded.policy, choice = excluded.choice, changed_at = excluded.changed_at
        WHERE schedules.source = excluded.source AND schedules.kind = excluded.kind
        RETURNING *
        """,
        [schedule_id, source, every_s, cron, frame_limit, paused, kind, policy, choice, now, now],
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
