from __future__ import annotations

from datetime import timedelta

from db.queries import overview
from db.store import Store
from tests.db.queries import rows
from tests.store_factory import NOW


def test_an_empty_store_counts_nothing(store: Store) -> None:
    counted = overview.counts(store)
    assert counted["frames"] == counted["runs"] == counted["detections"] == 0
    assert counted["newest_frame_at"] is None
    assert overview.last_cycle(store) is None
    assert overview.failures(store) == []
    assert overview.needs_a_person(store) == overview.broken(store) == []
    assert overview.changed_since(store, None) == []


def test_counts_of_the_night(night: Store) -> None:
    counted = overview.counts(night)
    assert (counted["frames"], counted["runs"], counted["detections"]) == (6, 18, 20)
    assert counted["newest_frame_at"] == NOW - timedelta(minutes=10)


def test_each_pipeline_says_how_its_runs_ended(night: Store) -> None:
    ended = {
        row["pipeline"]: (row["ok"], row["not_applicable"], row["failed"], row["model"])
        for row in overview.pipelines(night)
    }
    assert ended == {
        "anomaly": (5, 0, 1, "patches-32"),
        "codec": (6, 0, 0, "codec-small"),
        "cosmicrays": (5, 1, 0, "rays-vi"),
    }


def test_new_since_counts_what_came_later_with_the_newest(night: Store) -> None:
    ever = {row["kind"]: row["n"] for row in overview.new_since(night, None)}
    assert ever == {
        "cycle": 3, "frame": 6, "detection": 20, "candidate": 3, "answer": 60, "label": 0
    }  # fmt: skip
    later = {row["kind"]: row for row in overview.new_since(night, NOW - timedelta(minutes=25))}
    assert later["frame"]["n"] == 2
    assert later["frame"]["newest_at"] == NOW - timedelta(minutes=10)
    assert {row["n"] for row in overview.new_since(night, NOW)} == {0}


def test_what_changed_is_listed_newest_first(night: Store) -> None:
    rows = overview.changed_since(night, None)
    assert [row["changed_at"] for row in rows] == sorted(
        (row["changed_at"] for row in rows), reverse=True
    )
    assert {"model", "policy", "schedule"} == {row["kind"] for row in rows}
    assert overview.changed_since(night, NOW) == []


def test_frames_judged_anew_are_counted_once(store: Store) -> None:
    store.write(
        {
            "runs": [
                rows.run("a", "f", finished_at=NOW),
                rows.run("b", "f", finished_at=NOW + timedelta(hours=1)),
                rows.run("c", "g", finished_at=NOW + timedelta(hours=1)),
            ]
        }
    )
    (row,) = overview.changed_since(store, NOW)
    assert (row["kind"], row["n"]) == ("judged_anew", 1)


def test_needs_a_person_leaves_out_what_anybody_labelled(store: Store) -> None:
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection("a", verdict="candidate"),
                rows.detection("b", verdict="candidate"),
                rows.detection("c", verdict="near_miss"),
                rows.detection("d", verdict="normal"),
            ],
            "labels": [rows.label("1", "a", "reject", "ann")],
        }
    )
    waiting = [(row["kind"], row["n"]) for row in overview.needs_a_person(store)]
    assert waiting == [("candidate", 1), ("near_miss", 1)]


def test_what_failed_is_listed_with_its_reason(night: Store) -> None:
    wrong = {row["kind"]: (row["n"], row["reason"]) for row in overview.broken(night)}
    assert wrong == {
        "cycle": (1, "the folder /gone does not exist"),
        "run": (1, "the worker was killed twice on this frame"),
        "item": (1, "truncated: 2880 bytes announced, 100 there"),
    }
    listed = {row["what"]: row["reason"] for row in overview.failures(night)}
    assert listed == {
        "anomaly": "the worker was killed twice on this frame",
        "intake": "truncated: 2880 bytes announced, 100 there",
        "cycle": "the folder /gone does not exist",
    }


def test_the_last_cycle_is_the_one_that_started_last(night: Store) -> None:
    last = overview.last_cycle(night)
    assert last is not None
    assert last["cycle_id"] == "cycle-2"


def test_a_failure_that_was_mended_is_broken_no_more(store: Store) -> None:
    def cycle(name: str, state: str, hours: int) -> dict[str, object]:
        started_at = NOW + timedelta(hours=hours)
        return {"cycle_id": name, "source": "a", "state": state, "started_at": started_at}

    def item(name: str, outcome: str, hours: int) -> dict[str, object]:
        return {
            "intake_id": name, "source": "a", "uri": "u", "part": "", "fingerprint": name,
            "outcome": outcome, "cycle_id": "1", "seen_at": NOW + timedelta(hours=hours),
        }  # fmt: skip

    store.write({"cycles": [cycle("1", "failed", 0)], "intake": [item("1", "failed", 0)]})
    assert [(row["kind"], row["n"]) for row in overview.broken(store)] == [
        ("cycle", 1),
        ("item", 1),
    ]
    store.write({"cycles": [cycle("2", "done", 1)], "intake": [item("2", "stored", 1)]})
    assert overview.broken(store) == []
    assert len(overview.failures(store)) == 2
