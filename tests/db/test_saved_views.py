"""Saved views: named, replaced, taken away, never edited."""

from __future__ import annotations

import pytest

from db.errors import ConflictError, StoreError
from db.saved_views import remove_view, save_view, saved_views
from db.store import Store
from tests.db.conftest import NOW


def save(store: Store, saving_id: str, name: str, query: str, minute: int = 0) -> None:
    save_view(
        store, saving_id=saving_id, page="anomalies", name=name, query=query, saved_by="ann",
        now=NOW.replace(minute=minute),
    )  # fmt: skip


def test_views_are_listed_by_name_and_the_newest_of_a_name_holds(store: Store) -> None:
    save(store, "1", "rings", "verdict=candidate")
    save(store, "2", "Arcs", "q=arc")
    save(store, "3", " rings ", "verdict=near_miss", 1)
    save(store, "3", "rings", "verdict=near_miss", 5)
    found = [
        (row["name"], row["query"], row["saved_by"]) for row in saved_views(store, "anomalies")
    ]
    assert found == [("Arcs", "q=arc", "ann"), ("rings", "verdict=near_miss", "ann")]
    assert saved_views(store, "verify") == []
    assert len(store.rows("SELECT * FROM saved_views")) == 3


def test_a_view_is_taken_away_by_a_further_row(store: Store) -> None:
    save(store, "1", "rings", "verdict=candidate")
    remove_view(
        store, saving_id="2", page="anomalies", name="rings", removed_by="bob",
        now=NOW.replace(minute=2),
    )  # fmt: skip
    assert saved_views(store, "anomalies") == []
    assert len(store.rows("SELECT * FROM saved_views")) == 2
    with pytest.raises(StoreError, match="no saved view 'rings'"):
        remove_view(store, saving_id="3", page="anomalies", name="rings", removed_by="bob", now=NOW)


def test_what_cannot_be_saved_says_why(store: Store) -> None:
    save(store, "1", "rings", "verdict=candidate")
    with pytest.raises(ConflictError, match="kept another view"):
        save(store, "1", "rings", "verdict=normal")
    with pytest.raises(StoreError, match="1 to 80 letters, got 0"):
        save(store, "2", "  ", "")
    with pytest.raises(StoreError, match="at most 4000 letters"):
        save(store, "2", "long", "x" * 4001)
