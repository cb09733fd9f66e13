from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from db.store import Store
from db.visits import Visit, look

MORNING = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def seen(store: Store, number: int, hours: float, browser: str = "b1", person: str = "") -> Visit:
    now = MORNING + timedelta(hours=hours)
    return look(store, visit_id=f"visit-{number}", browser=browser, person=person, now=now)


def test_a_first_look_has_nothing_before_it(store: Store) -> None:
    assert seen(store, 1, 0) == Visit("visit-1", "", None)


def test_a_later_look_begins_a_visit_and_knows_the_one_before(store: Store) -> None:
    seen(store, 1, 0)
    seen(store, 2, 0.25)  # the page was loaded again: the same visit goes on
    assert seen(store, 3, 5) == Visit("visit-3", "", MORNING + timedelta(minutes=15))
    assert seen(store, 4, 5.1) == Visit("visit-3", "", MORNING + timedelta(minutes=15))
    assert store.rows("SELECT count(*) AS n FROM visits") == [{"n": 2}]


def test_browsers_are_kept_apart_until_a_name_joins_them(store: Store) -> None:
    seen(store, 1, 0, "b1")
    assert seen(store, 2, 5, "b2").before is None
    seen(store, 3, 6, "b1", "ann")
    assert seen(store, 4, 10, "b2", "ann").before == MORNING + timedelta(hours=6)


def test_a_browser_remembers_whose_it_was(store: Store) -> None:
    seen(store, 1, 0, person="ann")
    assert seen(store, 2, 5) == Visit("visit-2", "ann", MORNING)


@pytest.mark.parametrize("hours", [0.0, 5.0])
def test_a_look_changes_nothing_that_pages_remember(store: Store, hours: float) -> None:
    seen(store, 1, 0)
    before = store.changes
    seen(store, 2, hours)
    assert store.changes == before
