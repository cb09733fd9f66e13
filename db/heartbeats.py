"""Heartbeats: which owners there were, and how long nobody was there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.store import Store, select

Heartbeat = dict[str, Any]


def begin_beating(store: Store, owner_id: str, pid: int, now: datetime) -> Heartbeat | None:
    """Note a new owner; return the one before it, with `ended` as it was, None for the first.

    Owners that nobody saw end are closed as such.
    """
    before = store.rows("SELECT * FROM heartbeats ORDER BY beat_at DESC, owner_id LIMIT 1")
    store.move(
        "UPDATE heartbeats SET ended = 'nobody saw it end' WHERE ended = '' RETURNING owner_id"
    )
    row = {"owner_id": owner_id, "pid": pid, "started_at": now, "beat_at": now}
    store.write({"heartbeats": [row]})
    return before[0] if before else None


def beat(store: Store, owner_id: str, now: datetime, ended: str = "") -> None:
    """Say that the owner is alive, or how it ended; does not count as a change of the store."""
    sql = "UPDATE heartbeats SET beat_at = ?, ended = ? WHERE owner_id = ? RETURNING owner_id"
    store.transaction(
        lambda connection: select(connection, sql, [now, ended, owner_id]),
        changed=lambda _: False,
    )


def last_heartbeat(store: Store) -> Heartbeat | None:
    """The newest owner's row, None where there never was one."""
    rows = store.rows("SELECT * FROM heartbeats ORDER BY started_at DESC, owner_id LIMIT 1")
    return rows[0] if rows else None
