"""Where sources and services stand: cursors, listed items, health and quotas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from db.database import Connection
from db.store import Store, select

Row = dict[str, Any]

HEALTH_COLUMNS = (
    "service", "url", "breaker", "failures", "rests", "resting_until", "asked", "succeeded",
    "failed", "last_success_at", "last_failure_at", "last_error", "changed_at",
)  # fmt: skip


def read_cursor(store: Store, source: str) -> Any:
    """The cursor of a source as it was kept, None where it was never listed."""
    rows = store.rows("SELECT cursor FROM source_cursors WHERE source = ?", [source])
    return json.loads(rows[0]["cursor"]) if rows else None


def keep_page(
    store: Store, source: str, items: Iterable[Mapping[str, Any]], cursor: Any, now: datetime
) -> int:
    """Keep what a page listed and move the cursor behind it, both or neither.

    `items` have uri, fingerprint and facts. Returns how many are new; one that was listed before
    stays as it was.
    """
    rows = [
        [source, item["uri"], item["fingerprint"], json.dumps(item["facts"]), now] for item in items
    ]

    def keep(connection: Connection) -> int:
        before = _count(connection, source)
        for number, row in enumerate(rows, start=before):
            connection.execute(
                """INSERT INTO source_items (source, uri, fingerprint, facts, listed_at, number)
                   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
                [*row, number],
            )
        new = _count(connection, source) - before
        connection.execute(
            """INSERT INTO source_cursors (source, cursor, listed, pages, listed_at)
               VALUES ($1, $2, $3, 1, $4)
               ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor,
                   listed = listed + excluded.listed, pages = pages + 1,
                   listed_at = excluded.listed_at, last_error = ''""",
            [source, json.dumps(cursor), new, now],
        )
        return new

    return store.transaction(keep)


def note_listing_failure(store: Store, source: str, reason: str, now: datetime) -> None:
    """Keep why a source could not be listed; its cursor stays where it is."""
    store.move(
        """INSERT INTO source_cursors (source, cursor, last_error, failed_at)
           VALUES (?, 'null', ?, ?)
           ON CONFLICT (source) DO UPDATE SET last_error = excluded.last_error,
               failed_at = excluded.failed_at
           RETURNING source""",
        [source, reason, now],
    )


def waiting_items(store: Store, source: str, limit: int) -> list[Row]:
    """Items that were listed and not taken in, in the order of listing; facts as values."""
    rows = store.rows(
        """SELECT i.uri, i.fingerprint, i.facts FROM source_items i
           ANTI JOIN intake t USING (source, uri, fingerprint)
           WHERE i.source = ? ORDER BY i.listed_at, i.number LIMIT ?""",
        [source, limit],
    )
    return [{**row, "facts": json.loads(row["facts"])} for row in rows]


def failed_attempts(store: Store, source: str, uri: str) -> int:
    """How often fetching this item failed so far."""
    rows = store.rows(
        "SELECT count(*) AS n FROM intake WHERE source = ? AND uri = ? AND outcome = 'failed'",
        [source, uri],
    )
    return int(rows[0]["n"])


def read_health(store: Store, service: str) -> Row:
    """The kept health of a service with its quota windows; empty where there is none."""
    rows = store.rows("SELECT * FROM service_health WHERE service = ?", [service])
    if not rows:
        return {}
    windows = store.rows("SELECT * FROM service_quota WHERE service = ?", [service])
    used = {(row["period_s"], row["window_number"]): row["used"] for row in windows}
    return {**rows[0], "windows": used}


def write_health(
    store: Store, health: Mapping[str, Any], quotas: Iterable[tuple[int, int, int, int]]
) -> None:
    """Keep the health (`HEALTH_COLUMNS`) and quotas (period_s, window number, used, allowed)."""
    columns = ", ".join(HEALTH_COLUMNS)
    marks = ", ".join("?" for _ in HEALTH_COLUMNS)
    counted = list(quotas)

    def write(connection: Connection) -> None:
        connection.execute(
            f"INSERT OR REPLACE INTO service_health ({columns}) VALUES ({marks})",  # noqa: S608
            [health[name] for name in HEALTH_COLUMNS],
        )
        for period_s, window, used, allowed in counted:
            connection.execute(
                "INSERT OR REPLACE INTO service_quota VALUES (?, ?, ?, ?, ?)",
                [health["service"], period_s, window, used, allowed],
            )

    store.transaction(write)


def _count(connection: Connection, source: str) -> int:
    found = select(connection, "SELECT count(*) AS n FROM source_items WHERE source = ?", [source])
    return int(found["n"][0].as_py())
