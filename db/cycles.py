"""Cycles: passes of the loop over a source, with their counts and events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.errors import StoreError
from db.store import Store

Cycle = dict[str, Any]

COUNTS = ("asked", "known", "stored", "duplicates", "failed", "ignored")
_END_STATES = ("done", "failed", "cancelled")


def begin_cycle(
    store: Store,
    *,
    cycle_id: str,
    source: str,
    now: datetime,
    request_id: str | None = None,
    schedule_id: str | None = None,
    policy: str | None = None,
) -> Cycle:
    """Begin a cycle and return it; one begun before, and interrupted, runs on under its id."""
    begun = store.move(
        """
        INSERT INTO cycles (cycle_id, request_id, schedule_id, source, policy, state, started_at)
        VALUES (?, ?, ?, ?, ?, 'running', ?)
        ON CONFLICT (cycle_id) DO UPDATE SET state = 'running', error = '', finished_at = NULL
        RETURNING *
        """,
        [cycle_id, request_id, schedule_id, source, policy, now],
    )
    return begun[0]


def update_cycle(store: Store, cycle_id: str, **counts: int) -> Cycle:
    """Set some of a cycle's counts (`COUNTS` names them) and return the cycle."""
    unknown = [name for name in counts if name not in COUNTS]
    if unknown or not counts:
        raise StoreError(
            f"expected counts ({', '.join(COUNTS)}), got {', '.join(unknown) or 'none'}"
        )
    assignments = ", ".join(f"{name} = ?" for name in counts)
    updated = store.move(
        f"UPDATE cycles SET {assignments} WHERE cycle_id = ? RETURNING *",  # noqa: S608
        [*counts.values(), cycle_id],
    )
    return _only(updated, cycle_id)


def finish_cycle(
    store: Store, cycle_id: str, *, state: str, error: str = "", now: datetime
) -> Cycle:
    """End a cycle as done, failed or cancelled, and return it."""
    if state not in _END_STATES:
        raise StoreError(f"expected a final state ({', '.join(_END_STATES)}), got {state!r}")
    finished = store.move(
        "UPDATE cycles SET state = ?, error = ?, finished_at = ? WHERE cycle_id = ? RETURNING *",
        [state, error, now, cycle_id],
    )
    return _only(finished, cycle_id)


def close_interrupted(store: Store, now: datetime) -> int:
    """Fail the cycles that a killed owner left running; return how many those were."""
    closed = store.move(
        """
        UPDATE cycles SET state = 'failed', finished_at = ?,
            error = 'interrupted: its owner ended without finishing it'
        WHERE state = 'running' RETURNING cycle_id
        """,
        [now],
    )
    return len(closed)


def add_event(store: Store, cycle_id: str | None, kind: str, message: str, now: datetime) -> None:
    """Append an event to a cycle, or (None) to the owner's own history."""
    event = {"cycle_id": cycle_id, "kind": kind, "message": message, "happened_at": now}
    store.write({"run_events": [event]})


def _only(rows: list[Cycle], cycle_id: str) -> Cycle:
    if not rows:
        raise StoreError(f"expected the id of a cycle, got {cycle_id!r}, which is unknown")
    return rows[0]
