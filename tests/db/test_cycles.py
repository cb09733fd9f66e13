"""Cycles and schedules."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from db import cycles, schedules
from db.errors import ConflictError, StoreError
from db.store import Store


def test_a_cycle_from_begin_to_end(store: Store, now: datetime) -> None:
    begun = cycles.begin_cycle(
        store, cycle_id="c1", source="sim:demo", now=now, schedule_id="nightly"
    )
    assert (begun["state"], begun["asked"], begun["schedule_id"]) == ("running", 0, "nightly")
    counted = cycles.update_cycle(store, "c1", asked=5, stored=3, failed=2)
    assert [counted[name] for name in cycles.COUNTS] == [5, 0, 3, 0, 2, 0]
    ended = cycles.finish_cycle(store, "c1", state="done", now=now + timedelta(seconds=9))
    assert (ended["state"], ended["finished_at"] - ended["started_at"]) == (
        "done",
        timedelta(seconds=9),
    )


def test_a_cycle_that_its_owner_left_is_failed_and_can_go_on(store: Store, now: datetime) -> None:
    cycles.begin_cycle(store, cycle_id="c1", source="sim:demo", now=now)
    cycles.begin_cycle(store, cycle_id="c2", source="sim:demo", now=now)
    cycles.finish_cycle(store, "c2", state="done", now=now)
    assert cycles.close_interrupted(store, now) == 1
    assert cycles.close_interrupted(store, now) == 0
    states = store.rows("SELECT state, error FROM cycles ORDER BY cycle_id")
    assert states[0]["state"] == "failed"
    assert "interrupted" in states[0]["error"]
    assert states[1] == {"state": "done", "error": ""}
    again = cycles.begin_cycle(store, cycle_id="c1", source="sim:demo", now=now)
    assert (again["state"], again["error"], again["finished_at"]) == ("running", "", None)


def test_cycles_refuse_what_they_do_not_know(store: Store, now: datetime) -> None:
    with pytest.raises(StoreError, match="'c9', which is unknown"):
        cycles.update_cycle(store, "c9", asked=1)
    with pytest.raises(StoreError, match=r"expected counts .*got lost"):
        cycles.update_cycle(store, "c9", lost=1)
    with pytest.raises(StoreError, match="expected a final state"):
        cycles.finish_cycle(store, "c9", state="running", now=now)


def test_events_are_numbered_in_order(store: Store, now: datetime) -> None:
    cycles.add_event(store, "c1", "begun", "reading sim:demo", now)
    cycles.add_event(store, None, "owner", "started", now)
    events = store.rows("SELECT event_number, cycle_id, kind FROM run_events ORDER BY 1")
    assert events == [
        {"event_number": 1, "cycle_id": "c1", "kind": "begun"},
        {"event_number": 2, "cycle_id": None, "kind": "owner"},
    ]


def test_a_schedule_is_added_changed_and_removed(store: Store, now: datetime) -> None:
    first = schedules.put_schedule(
        store, schedule_id="s1", source="sim:demo", every_s=60, frame_limit=5, now=now
    )
    later = now + timedelta(hours=1)
    changed = schedules.put_schedule(
        store, schedule_id="s1", source="sim:demo", every_s=90, paused=True, now=later
    )
    expected = {"every_s": 90.0, "frame_limit": None, "paused": True, "changed_at": later}
    assert changed == {**first, **expected}
    assert schedules.list_schedules(store) == [changed]
    assert schedules.remove_schedule(store, "s1")
    assert not schedules.remove_schedule(store, "s1")
    assert schedules.list_schedules(store) == []


def test_a_schedule_keeps_its_source_and_needs_an_interval(store: Store, now: datetime) -> None:
    schedules.put_schedule(store, schedule_id="s1", source="sim:demo", every_s=60, now=now)
    with pytest.raises(ConflictError, match="belongs to another source"):
        schedules.put_schedule(store, schedule_id="s1", source="folder:/x", every_s=60, now=now)
    with pytest.raises(ConflictError, match="every_s > 0"):
        schedules.put_schedule(store, schedule_id="s1", source="sim:demo", every_s=0, now=now)
