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
    assert set(overview.needs_a_person(store).values()) == {0}


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


def test_new_since_counts_what_came_later(night: Store) -> None:
    assert overview.new_since(night, None)["frames"] == 6
    assert overview.new_since(night, NOW - timedelta(minutes=25))["frames"] == 2
    assert overview.new_since(night, NOW)["frames"] == 0


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
    assert overview.needs_a_person(store) == {"candidates": 1, "near_misses": 1, "uncertain": 0}


def test_what_failed_is_listed_with_its_reason(night: Store) -> None:
    wrong = overview.broken(night)
    assert wrong == {
        "failed_runs": 1,
        "failed_intake": 1,
        "failed_cycles": 1,
        "failed_requests": 1,
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
