"""Visits: who looked last when, so that a page can say what is new since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from db.queries.paging import only_row
from db.store import Store, select

SAME_VISIT = timedelta(minutes=30)


@dataclass(frozen=True)
class Visit:
    """A visit that goes on; `before` is when the same person was last seen in an earlier one."""

    visit_id: str
    person: str
    before: datetime | None


def look(store: Store, *, visit_id: str, browser: str, person: str, now: datetime) -> Visit:
    """Note that somebody looks, and return the visit that this look is part of.

    A person is followed by name through every browser; who gave no name (`person` is empty) is
    whom this browser knew last. A look within half an hour of the last one goes on with that
    visit, a later one begins `visit_id`. Does not count as a change of the store.
    """
    known = person or _last_person(store, browser)
    mine = "(browser = $1 OR ($2 <> '' AND person = $2))"
    last = only_row(
        store.rows(
            f"SELECT visit_id, seen_at FROM visits WHERE {mine} "  # noqa: S608  a constant above
            "ORDER BY seen_at DESC, visit_id LIMIT 1",
            [browser, known],
        )
    )
    goes_on = last is not None and now - last["seen_at"] <= SAME_VISIT
    current = str(last["visit_id"]) if last is not None and goes_on else visit_id
    _note(store, current, browser, known, now)
    before = store.rows(
        f"SELECT max(seen_at) AS seen_at FROM visits WHERE {mine} "  # noqa: S608
        "AND visit_id <> $3 AND seen_at <= $4",
        [browser, known, current, now],
    )[0]["seen_at"]
    return Visit(current, known, before)


def _last_person(store: Store, browser: str) -> str:
    row = only_row(
        store.rows(
            "SELECT person FROM visits WHERE browser = $1 AND person <> '' "
            "ORDER BY seen_at DESC, visit_id LIMIT 1",
            [browser],
        )
    )
    return "" if row is None else str(row["person"])


def _note(store: Store, visit_id: str, browser: str, person: str, now: datetime) -> None:
    sql = """
        INSERT INTO visits (visit_id, browser, person, began_at, seen_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (visit_id) DO UPDATE
        SET person = excluded.person, seen_at = greatest(seen_at, excluded.seen_at)
        RETURNING visit_id
    """
    store.transaction(
        lambda connection: select(connection, sql, [visit_id, browser, person, now, now]),
        changed=lambda _: False,
    )
