"""Requests to the owner: queued by pages, API and command line, worked off one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.errors import ConflictError, StoreError
from db.store import Store

Request = dict[str, Any]

_END_STATES = ("done", "failed", "cancelled")


def enqueue(
    store: Store,
    kind: str,
    payload: dict[str, Any],
    *,
    request_id: str,
    asked_by: str,
    now: datetime,
) -> Request:
    """Queue a request under the client's own key and return it; asking again changes nothing.

    Raises ConflictError when the key was used for another kind or payload.
    """
    asked = {
        "request_id": request_id,
        "kind": kind,
        "payload": payload,
        "state": "queued",
        "asked_by": asked_by,
        "asked_at": now,
    }
    store.write({"requests": [asked]})
    kept = get_request(store, request_id)
    if kept["kind"] != kind or kept["payload"] != json.loads(json.dumps(payload)):
        raise ConflictError(
            f"request {request_id} was already asked as {kept['kind']} {kept['payload']}; "
            "use a new key for a new request"
        )
    return kept


def get_request(store: Store, request_id: str) -> Request:
    """Return one request with its payload and result as values; StoreError if unknown."""
    found = store.rows("SELECT * FROM requests WHERE request_id = ?", [request_id])
    if not found:
        raise StoreError(f"expected the key of a request, got {request_id!r}, which is unknown")
    return _decoded(found[0])


def claim_next(store: Store, now: datetime, kinds: Sequence[str] | None = None) -> Request | None:
    """Move the oldest queued request (of `kinds`, if given) to running; None if there is none."""
    wanted = "" if kinds is None else "AND list_contains(?, kind)"
    claimed = store.move(
        f"""
        UPDATE requests SET state = 'running', started_at = ?
        WHERE request_id = (
            SELECT request_id FROM requests WHERE state = 'queued' {wanted}
            ORDER BY asked_at, request_id LIMIT 1
        )
        RETURNING *
        """,  # noqa: S608  no outside text in it
        [now] if kinds is None else [now, list(kinds)],
    )
    return _decoded(claimed[0]) if claimed else None


def progress(store: Store, request_id: str, done: int, total: int | None) -> None:
    """Note how much of a running request is done; of any other request nothing changes."""
    store.move(
        "UPDATE requests SET done = ?, total = ? WHERE request_id = ? AND state = 'running' "
        "RETURNING request_id",
        [done, total, request_id],
    )


def finish(
    store: Store,
    request_id: str,
    *,
    state: str,
    result: dict[str, Any] | None = None,
    error: str = "",
    now: datetime,
) -> Request:
    """End a running request as done, failed or cancelled, and return it.

    One cancelled while it ran stays cancelled and takes the result; one that had ended stays as
    it is.
    """
    if state not in _END_STATES:
        raise StoreError(f"expected a final state ({', '.join(_END_STATES)}), got {state!r}")
    text = None if result is None else json.dumps(result, sort_keys=True)
    store.move(
        """
        UPDATE requests SET result = ?, error = ?, finished_at = ?,
            state = CASE WHEN state = 'cancelled' THEN state ELSE ? END
        WHERE request_id = ? AND (state = 'running' OR (state = 'cancelled' AND result IS NULL))
        RETURNING request_id
        """,
        [text, error, now, state, request_id],
    )
    return get_request(store, request_id)


def cancel(store: Store, request_id: str, now: datetime) -> Request:
    """Cancel a queued or running request and return it; one that has ended stays as it is."""
    store.move(
        "UPDATE requests SET state = 'cancelled', finished_at = ? "
        "WHERE request_id = ? AND state IN ('queued', 'running') RETURNING request_id",
        [now, request_id],
    )
    return get_request(store, request_id)


def requeue_running(store: Store) -> int:
    """Queue again what a killed owner left running; return how many requests those were."""
    moved = store.move(
        "UPDATE requests SET state = 'queued', started_at = NULL, done = 0, total = NULL "
        "WHERE state = 'running' RETURNING request_id"
    )
    return len(moved)


def _decoded(row: Request) -> Request:
    result = row["result"]
    return {
        **row,
        "payload": json.loads(row["payload"]),
        "result": None if result is None else json.loads(result),
    }
