from __future__ import annotations

import pytest

from db.errors import StoreError
from db.queries import verify
from db.store import Store
from tests.db.queries import rows


@pytest.fixture
def queued(store: Store) -> Store:
    verdicts = {
        "a": "normal",
        "b": "candidate",
        "c": "near_miss",
        "d": "uncertain",
        "e": "normal",
        "x": "artefact",
    }
    p_values = {"a": 0.9, "b": 0.001, "c": 0.03, "d": None, "e": 0.5, "x": 0.0001}
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [
                rows.detection(name, verdict=verdict, p_value=p_values[name])
                for name, verdict in verdicts.items()
            ],
        }
    )
    return store


def waiting(store: Store, which: str, who: str = "ann") -> list[str]:
    return [row["detection_id"] for row in verify.queue(store, who, which)]


def test_queues_are_ordered_by_what_they_are_for(queued: Store) -> None:
    assert waiting(queued, "most_anomalous") == ["b", "c", "e", "a", "d"]
    assert waiting(queued, "near_misses") == ["c"]
    assert waiting(queued, "uncertain") == ["d"]


def test_the_audit_is_a_fixed_shuffle_of_everything_for_each_labeller(queued: Store) -> None:
    ann, bob = waiting(queued, "random"), waiting(queued, "random", "bob")
    assert sorted(ann) == sorted(bob) == ["a", "b", "c", "d", "e", "x"]
    assert ann == waiting(queued, "random")
    assert ann != bob


def test_what_i_labelled_leaves_my_queue_but_not_yours(queued: Store) -> None:
    queued.write({"labels": [rows.label("1", "b", "unsure", "ann")]})
    assert "b" not in waiting(queued, "most_anomalous")
    assert "b" in waiting(queued, "most_anomalous", "bob")
    assert verify.queue_lengths(queued, "ann") == {
        "most_anomalous": 4,
        "near_misses": 1,
        "uncertain": 1,
        "random": 5,
    }


def test_an_undone_label_comes_back_to_the_queue(queued: Store) -> None:
    queued.write(
        {"labels": [rows.label("1", "b", "accept", "ann"), rows.undo("2", "1", "b", "ann", 1)]}
    )
    assert waiting(queued, "most_anomalous")[0] == "b"


def test_undo_walks_back_through_my_labels_one_by_one(queued: Store) -> None:
    queued.write(
        {
            "labels": [
                rows.label("1", "a", "accept", "ann", labelled_at=rows.at(1)),
                rows.label("2", "b", "reject", "ann", labelled_at=rows.at(2)),
                rows.label("9", "c", "reject", "bob", labelled_at=rows.at(3)),
            ]
        }
    )
    last = verify.label_to_undo(queued, "ann")
    assert last is not None
    assert last["label_id"] == "2"
    queued.write({"labels": [rows.undo("3", "2", "b", "ann", 4)]})
    last = verify.label_to_undo(queued, "ann")
    assert last is not None
    assert last["label_id"] == "1"
    queued.write({"labels": [rows.undo("4", "1", "a", "ann", 5)]})
    assert verify.label_to_undo(queued, "ann") is None


def test_done_counts_the_labels_that_hold(queued: Store) -> None:
    queued.write(
        {
            "labels": [
                rows.label("1", "a", "accept", "ann", seconds=1.0),
                rows.label("2", "b", "reject", "ann", seconds=3.0),
                rows.label("3", "c", "reject", "ann", seconds=9.0),
                rows.undo("4", "3", "c", "ann", 1),
            ]
        }
    )
    done = verify.done_by(queued, "ann")
    assert done == {"done": 2, "accept": 1, "reject": 1, "unsure": 0, "median_s": 2.0}


def test_a_queue_that_does_not_exist_is_refused(queued: Store) -> None:
    with pytest.raises(StoreError, match="no queue 'best'"):
        verify.queue(queued, "ann", "best")
