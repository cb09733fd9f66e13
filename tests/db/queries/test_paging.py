from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import StoreError
from db.queries import anomalies, frames, jobs, runs
from db.queries.paging import page_of, rows_to_fetch, start_of_page
from db.store import Store
from tests.db.queries import rows


def everything(page: Any, store: Store, limit: int) -> list[dict[str, Any]]:
    """Follow the cursors to the end."""
    found, cursor = [], None
    while True:
        part = page(store, limit=limit, cursor=cursor)
        assert len(part.rows) <= limit
        found += part.rows
        cursor = part.next
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 21])
@pytest.mark.parametrize(
    ("page", "key"),
    [
        (frames.page_of_frames, "frame_digest"),
        (anomalies.page_of_detections, "detection_id"),
        (jobs.page_of_cycles, "cycle_id"),
        (runs.page_of_runs, "run_id"),
    ],
)
def test_pages_of_any_length_visit_every_row_once_in_the_same_order(
    night: Store, page: Any, key: str, limit: int
) -> None:
    whole = [row[key] for row in page(night, limit=1000).rows]
    visited = [row[key] for row in everything(page, night, limit)]
    assert len(whole) > 2
    assert visited == whole


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_ties_and_missing_values_are_paged_once(store: Store, limit: int) -> None:
    keys = [
        (None, None),
        (None, None),
        (0.1, None),
        (0.1, 3.0),
        (0.1, 3.0),
        (1.0, -1.0),
        (0.1, 9.0),
    ]
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection(f"d{number}", p_value=p_value, rank_score=rank)
                for number, (p_value, rank) in enumerate(keys)
            ],
        }
    )
    visited = [r["detection_id"] for r in everything(anomalies.page_of_detections, store, limit)]
    assert visited == ["d6", "d3", "d4", "d2", "d5", "d0", "d1"]


@pytest.mark.parametrize("cursor", ["", "nonsense", "é", "W10=", "bnVsbA==", "eyJhIjoxfQ=="])
def test_a_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(StoreError, match="cursor"):
        frames.page_of_frames(store, cursor=cursor)


def test_the_cursor_of_another_list_is_refused(night: Store) -> None:
    cursor = frames.page_of_frames(night, limit=1).next
    with pytest.raises(StoreError, match="cursor of another list"):
        anomalies.page_of_detections(night, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_range_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(StoreError, match="1 to 1000 rows"):
        frames.page_of_frames(store, limit=limit)


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.text()), min_size=2, max_size=5))
def test_a_cursor_gives_the_last_key_back(keys: list[tuple[float, str]]) -> None:
    fetched = [{"number": number, "name": name} for number, name in keys]
    page = page_of(fetched, len(keys) - 1, ("number", "name"))
    assert start_of_page(page.next, keys=2) == list(keys[-2])
    assert page_of(fetched, len(keys), ("number", "name")).next is None


def test_one_row_more_than_a_page_is_fetched() -> None:
    assert rows_to_fetch(10) == 11
