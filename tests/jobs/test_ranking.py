"""The ranking learns from labels as the bench's learner does, and never from held-out frames."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db import ranking as kept
from db.store import Store
from engine.anomalies.interest import InterestSpace, next_batch, rank_by_interest
from jobs.labelling import LEARNED, Labelling
from jobs.labelling_settings import LabellingSettings
from jobs.ranking import is_held_out
from tests.db.queries import rows

pytestmark = pytest.mark.slow
N, D = 90, 6
PLAIN: dict[str, Any] = {"label_explore": 0.0, "label_calibrate": 0.0, "label_held_out": 0.0}


def fill(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Ninety detections, each on a frame of its own; the odd ones lie along one direction."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(N, D)).astype(np.float32)
    vectors[::6, :2] += 4
    scores = rng.random(N)
    detections = [
        rows.detection(f"d{n:03d}", f"r{n}", frame_digest=f"f{n}", p_value=None,
                       rank_score=float(scores[n]))
        for n in range(N)
    ]  # fmt: skip
    store.write(
        {
            "runs": [rows.run(f"r{n}", f"f{n}") for n in range(N)],
            "detections": detections,
            "embeddings": [
                {"detection_id": f"d{n:03d}", "embedder": "e", "vector": vectors[n]}
                for n in range(N)
            ],
            "vector_parts": [
                {"embedder": "e", "part": "deep", "first_column": 0, "end_column": 4},
                {"embedder": "e", "part": "morphology", "first_column": 4, "end_column": D},
            ],
        }
    )
    return scores, vectors


def labelling(store: Store, **settings: Any) -> Labelling:
    return Labelling.over(store, LabellingSettings(**settings), lambda: datetime.now(UTC))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[tuple[Store, np.ndarray, np.ndarray]]:
    with Store.open(tmp_path) as store:
        scores, vectors = fill(store)
        yield store, scores, vectors


def say(desk: Labelling, ids: tuple[str, ...], liked: set[str], who: str = "ann") -> None:
    for one in ids:
        kind = "astrophysical" if one in liked else "boring"
        desk.say([{"label_id": f"{who}-{one}", "detection_id": one, "labeller": who, "kind": kind}])


def test_batch_after_batch_it_is_the_bench_learners_order(pool: Any) -> None:
    store, scores, vectors = pool
    liked = {f"d{n:03d}" for n in range(0, N, 6)}
    space = InterestSpace.of(vectors, {"deep": slice(0, 4), "morphology": slice(4, D)})
    desk = labelling(store, label_batch=10, **PLAIN)
    labels: dict[int, bool] = {}
    for _ in range(4):
        expected = next_batch(rank_by_interest(space, scores, labels), list(labels), 10)
        handed = desk.hand_out("ann", "browser", LEARNED, 30).detection_ids
        assert [int(one[1:]) for one in handed] == expected.tolist()
        say(desk, handed, liked)
        labels |= {int(row): f"d{row:03d}" in liked for row in expected}
    desk.close()
    assert len(labels) == 40


def test_held_out_labels_measure_and_never_fit(pool: Any) -> None:
    store, _, _ = pool
    desk = labelling(store, label_batch=500)
    share = desk.settings.label_held_out
    held = {f"d{n:03d}" for n in range(N) if is_held_out(f"f{n}", share)}
    assert (share, 10 < len(held) < 50) == (0.3, True)
    everything = tuple(f"d{n:03d}" for n in range(N))
    liked = {f"d{n:03d}" for n in range(0, N, 6)}
    say(desk, everything, liked)
    honest = desk.ranker.rank("test")
    before = {row["detection_id"]: row["interest"]
              for row in store.rows("SELECT * FROM current_ranking")}  # fmt: skip
    assert honest is not None
    assert (honest["labelled"], honest["held_out"]) == (N - len(held), len(held))
    assert honest["liked"] == len(liked - held)
    assert honest["held_out_auc"] > 0.6
    # Everything that was said of held-out frames turned round: not one number of the ranking moves.
    for one in sorted(held):
        kind = "boring" if one in liked else "astrophysical"
        desk.say([{"label_id": f"turned-{one}", "detection_id": one, "labeller": "ann",
                   "kind": kind}])  # fmt: skip
    turned = desk.ranker.rank("test")
    after = {row["detection_id"]: row["interest"]
             for row in store.rows("SELECT * FROM current_ranking")}  # fmt: skip
    assert after == before
    assert turned is not None
    assert turned["held_out_auc"] == pytest.approx(1 - honest["held_out_auc"])
    desk.close()


def test_a_batch_of_labels_ranks_anew_and_the_change_is_told(pool: Any) -> None:
    store, _, _ = pool
    desk = labelling(store, label_batch=10, **PLAIN)
    first = desk.hand_out("ann", "browser", LEARNED, 30).detection_ids
    assert kept.changes(store) == []
    say(desk, first, {first[0], first[3]})
    assert desk.ranker.settle(10)
    assert [row["cause"] for row in kept.rankings(store)] == ["batch", "batch"]
    changes = kept.changes(store, 10)
    assert {row["change"] for row in changes} <= {"enters", "leaves", "rises", "falls"}
    assert changes
    assert all(row["after"] <= 10 for row in changes if row["change"] == "enters")
    assert len(store.rows("SELECT DISTINCT ranking_id FROM ranking_rows")) == 2
    desk.close()


def test_two_people_share_a_batch_and_go_on_when_it_is_done(pool: Any) -> None:
    store, _, _ = pool
    desk = labelling(store, label_batch=6, **PLAIN)
    ann = desk.hand_out("ann", "a", LEARNED, 4).detection_ids
    bob = desk.hand_out("bob", "b", LEARNED, 4).detection_ids
    assert (len(ann), len(bob)) == (4, 2)
    assert not set(ann) & set(bob)
    say(desk, ann, {ann[0]}, "ann")
    # bob does nothing: ann goes on with what a new ranking finds best, without bob's two.
    more = desk.hand_out("ann", "a", LEARNED, 4).detection_ids
    assert len(more) == 4
    assert not set(more) & {*ann, *bob}
    desk.close()


def test_too_little_to_rank_is_no_error(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        desk = labelling(store)
        assert desk.ranker.rank("test") is None
        assert desk.hand_out("ann", "a", LEARNED, 4).detection_ids == ()
        desk.close()
