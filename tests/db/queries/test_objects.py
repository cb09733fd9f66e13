"""The objects of Cross-match: every place once, in the order that the page states."""

from __future__ import annotations

from db.queries import catalogues
from db.store import Store
from tests.store_factory import fill


def test_pages_hold_every_place_once_with_artefacts_last(store: Store) -> None:
    fill(store, frames=5, per_frame=5)
    store.move(
        "UPDATE detections SET verdict = 'artefact', p_value = 0.001 "
        "WHERE detection_id IN (SELECT min(detection_id) FROM detections) RETURNING 1"
    )
    rows, cursor = [], None
    while True:
        page = catalogues.page_of_objects(store, limit=4, cursor=cursor)
        rows += page.rows
        cursor = page.next
        if cursor is None:
            break
    placed = store.rows("SELECT detection_id FROM detections WHERE ra_deg IS NOT NULL")
    assert sorted(row["detection_id"] for row in rows) == sorted(
        row["detection_id"] for row in placed
    )
    keys = [
        (row["verdict"] == "artefact", 2.0 if row["p_value"] is None else row["p_value"])
        for row in rows
    ]
    assert keys == sorted(keys)
    assert {artefact for artefact, _ in keys} == {False, True}
