from __future__ import annotations

from db.queries import jobs
from db.store import Store
from tests.db.queries import rows


def test_cycles_say_what_is_not_accounted_for(store: Store) -> None:
    counts = {"asked": 10, "known": 1, "stored": 4, "duplicates": 1, "failed": 1, "ignored": 1}
    store.write(
        {
            "cycles": [
                {
                    "cycle_id": "c",
                    "source": "sim",
                    "state": "running",
                    "started_at": rows.T0,
                    **counts,
                }
            ]
        }
    )
    (cycle,) = jobs.page_of_cycles(store).rows
    assert cycle["unaccounted"] == 2


def test_finished_cycles_of_the_night_reconcile(night: Store) -> None:
    assert {row["unaccounted"] for row in jobs.page_of_cycles(night).rows} == {0}


def request(request_id: str, state: str, minutes: float) -> dict[str, object]:
    return {
        "request_id": request_id,
        "kind": "scan",
        "payload": {"source": "sim"},
        "state": state,
        "asked_at": rows.at(minutes),
    }


def test_active_requests_are_those_that_wait_or_run(store: Store) -> None:
    store.write(
        {
            "requests": [
                request("a", "done", 0),
                request("b", "queued", 3),
                request("c", "running", 1),
                request("d", "failed", 2),
            ]
        }
    )
    assert [row["request_id"] for row in jobs.active_requests(store)] == ["c", "b"]
    assert [row["request_id"] for row in jobs.recent_requests(store, 2)] == ["b", "d"]


def test_events_come_newest_first_and_of_one_cycle(night: Store) -> None:
    assert [row["event_number"] for row in jobs.events(night)] == [3, 2, 1]
    assert [row["kind"] for row in jobs.events(night, cycle_id="cycle-1")] == ["failed"]


def test_a_schedule_knows_its_last_cycle(night: Store) -> None:
    (schedule,) = jobs.schedules(night)
    assert (schedule["cycles"], schedule["last_state"]) == (1, "done")


def test_models_count_the_current_runs_they_made(night: Store) -> None:
    made = {row["name"]: row["current_runs"] for row in jobs.models(night)}
    assert made == {"codec-small": 6, "rays-vi": 6, "patches-32": 6}


def test_failed_items_name_their_reason(night: Store) -> None:
    (item,) = jobs.failed_intake(night)
    assert item["reason"].startswith("truncated")


def test_trainings_come_newest_first(store: Store) -> None:
    trainings = [
        {
            "training_id": name,
            "pipeline": "codec",
            "command": "train",
            "status": "done",
            "started_at": rows.at(minutes),
        }
        for name, minutes in (("a", 1), ("b", 2))
    ]
    store.write({"training_runs": trainings})
    assert [row["training_id"] for row in jobs.training_runs(store)] == ["b", "a"]
