from __future__ import annotations

import pytest

from db.consensus import Rule
from db.errors import StoreError
from db.handouts import skip
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
        "most_interesting": 0,
        "near_misses": 1,
        "uncertain": 1,
        "disagree": 0,
        "random": 5,
        "gold": 0,
        "unseen": 5,
        "skipped": 0,
        "adjudication": 0,
    }


def test_every_queue_is_as_long_as_it_says(queued: Store) -> None:
    queued.write(
        {
            "labels": [
                rows.label("1", "b", "accept", "ann"),
                rows.label("2", "a", "accept", "bob"),
                rows.label("3", "a", "reject", "eve"),
            ],
            "scores": [
                {"detection_id": name, "method": method, "raw": 1.0, "percentile": float(value)}
                for name, values in {"c": (10, 90), "d": (40, 60), "e": (5, 99)}.items()
                for method, value in zip(("knn", "pca"), values, strict=True)
            ],
            "gold_items": [
                {"detection_id": name, "kind": "boring", "origin": "expert", "set_by": "eve",
                 "set_at": rows.T0}
                for name in ("b", "c")
            ],
        }
    )  # fmt: skip
    skip(queued, "ann", "browser", "e", rows.T0)
    lengths = verify.queue_lengths(queued, "ann")
    assert lengths == {name: len(waiting(queued, name)) for name in verify.QUEUES}
    assert waiting(queued, "most_anomalous") == ["c", "a", "d", "e"]
    assert waiting(queued, "disagree") == ["c", "d", "e"]
    assert waiting(queued, "gold") == ["c"]
    assert waiting(queued, "skipped") == ["e"]
    assert sorted(waiting(queued, "unseen")) == ["a", "c", "d", "x"]
    assert waiting(queued, "adjudication") == ["a"]


def test_what_people_agree_on_is_retired_but_for_the_audit(queued: Store) -> None:
    queued.write(
        {"labels": [rows.label("1", "b", "reject", "ann"), rows.label("2", "b", "reject", "bob")]}
    )
    assert "b" not in waiting(queued, "most_anomalous", "eve")
    assert "b" in waiting(queued, "random", "eve")
    three = Rule(least_votes=3)
    ids = [d["detection_id"] for d in verify.queue(queued, "eve", "most_anomalous", rule=three)]
    assert ids[0] == "b"


def test_a_settled_dispute_leaves_adjudication_and_history_keeps_all(queued: Store) -> None:
    said = [rows.label("1", "a", "accept", "ann"), rows.label("2", "a", "reject", "bob")]
    queued.write({"labels": said})
    assert waiting(queued, "adjudication", "eve") == ["a"]
    queued.write({"labels": [rows.label("3", "a", "reject", "eve", queue="adjudication")]})
    assert waiting(queued, "adjudication", "ann") == []
    assert [row["label"] for row in verify.history_of(queued, "ann").rows] == ["accept"]


def test_the_history_comes_page_by_page(queued: Store) -> None:
    said = [
        rows.label(f"l{n}", name, "reject", "ann", labelled_at=rows.at(n // 2))
        for n, name in enumerate("abcd")
    ]
    queued.write({"labels": [*said, rows.undo("u", "l1", "b", "ann", 9)]})
    whole = [row["detection_id"] for row in verify.history_of(queued, "ann").rows]
    assert whole == ["c", "d", "a"]
    first = verify.history_of(queued, "ann", limit=2)
    rest = verify.history_of(queued, "ann", limit=2, cursor=first.next)
    assert [row["detection_id"] for row in (*first.rows, *rest.rows)] == whole
    assert rest.next is None


def test_what_is_shown_comes_in_the_order_asked_for(queued: Store) -> None:
    assert [row["detection_id"] for row in verify.shown(queued, ["d", "z", "a"])] == ["d", "a"]


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
