"""Learning from labels: worse is refused, better is promoted, and taken back bit by bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db import learning
from db.check import consistency
from db.store import Store
from jobs import learning as learning_jobs
from jobs.carriers import Carriers
from jobs.challenge import HeldOut, auroc, calibration_error, contest, kappa
from jobs.dispatcher import RequestCancelled
from jobs.errors import UsageError
from jobs.ids import stable_id
from jobs.learning import Learner, fitting_rows, held_out_of, numbers_of, pool_of
from jobs.ranking import Ranker
from jobs.settings import Settings
from tests.jobs import stubs
from tests.jobs.stubs import NOW, InlineWorkers, ticking

pytestmark = pytest.mark.slow

DIMENSION = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stubs.opened(tmp_path / "home") as store:
        yield store


def learner(store: Store, least: int = 20, held_out: float = 0.3) -> Learner:
    return Learner(store, InlineWorkers(), store.home / "models", ticking(), least, held_out)


def add(store: Store, n: int, *, first: int = 0, seed: int = 0) -> None:
    """Detections on frames of their own: what is liked lies along the first axis."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, Any]]] = {"runs": [], "detections": [], "embeddings": []}
    for number in range(first, first + n):
        digest, run_id = stable_id("frame", number), stable_id("run", number)
        liked = number % 2 == 0
        vector = rng.normal(0, 1, DIMENSION)
        vector[0] += 2.5 if liked else -2.5
        rows["runs"].append(
            {"run_id": run_id, "frame_digest": digest, "pipeline": "anomaly", "model_digest": "m",
             "policy_digest": "p", "status": "ok", "duration_s": 1.0, "cycle_id": "c",
             "finished_at": NOW}
        )  # fmt: skip
        rows["detections"].append(
            {"detection_id": f"d{number:04d}", "run_id": run_id, "frame_digest": digest,
             "kind": "image", "x": 1.0, "y": 1.0, "size_px": 8,
             "verdict": ("near_miss" if liked else "normal") if number % 3 else "candidate",
             "reason": "", "p_value": float(rng.uniform(0.001, 1)), "embedder": "e",
             "reference": "r", "cutout_file": "f", "detected_at": NOW}
        )  # fmt: skip
        rows["embeddings"].append(
            {"detection_id": f"d{number:04d}", "embedder": "e", "vector": vector.tolist()}
        )
    store.write(rows)


def label(store: Store, numbers: range, *, wrong: bool = False, who: str = "ann") -> None:
    """People's answers; `wrong`: the contrary of what they like."""
    store.write(
        {
            "labels": [
                {"label_id": f"{who}{n}", "detection_id": f"d{n:04d}", "labeller": who,
                 "label": "accept" if (n % 2 == 0) != wrong else "reject", "labelled_at": NOW}
                for n in numbers
            ]
        }
    )  # fmt: skip


def ranking(store: Store) -> list[tuple[str, float, float]]:
    rows = store.rows("SELECT detection_id, probability, interest FROM current_interest ORDER BY 1")
    return [(row["detection_id"], row["probability"], row["interest"]) for row in rows]


def test_a_better_challenger_is_promoted_and_taken_back_bit_by_bit(store: Store) -> None:
    add(store, 120)
    label(store, range(90))
    ours = learner(store)
    first = ours.learn("one")
    assert first["promoted"], first["reason"]
    assert first["figures"]["accuracy"]["challenger"] > 0.9
    before = ranking(store)
    assert len(before) == 120

    label(store, range(90, 120))
    # The answers of before again, by a second person: the next model differs.
    label(store, range(0, 120, 2), who="bob")
    second = ours.learn("two")
    champion = learning.current_model(store)
    if not second["promoted"]:
        digest = learning.training_history(store)[0]["model_digest"]
        ours.promote(digest, "two", "by hand", "test")
    assert learning.current_model(store) != learning.training_history(store)[1]["model_digest"]
    assert ranking(store) != before

    restored = ours.roll_back("back", "ann")
    assert restored == learning.training_history(store)[1]["model_digest"]
    assert ranking(store) == before
    assert champion is not None

    assert ours.roll_back("further back", "ann") is None
    assert ranking(store) == []
    with pytest.raises(UsageError, match="no promotion to take back"):
        ours.roll_back("too far", "ann")
    actions = [row["action"] for row in learning.choices(store)]
    assert actions == ["roll_back", "roll_back", "promote", "promote"]


def test_a_worsening_challenger_is_refused_and_stays_in_the_shadow(store: Store) -> None:
    add(store, 160)
    label(store, range(120))
    ours = learner(store)
    assert ours.learn("good")["promoted"]
    before = ranking(store)
    champion = learning.current_model(store)
    pool = pool_of(store, 20, 0.3)
    # Somebody answers the contrary on all that is fitted on, and the truth on what is held out.
    spoiled = [n for n in range(120) if not pool.is_held_out[pool.ids.index(f"d{n:04d}")]]
    for who in ("x", "y", "z"):
        for number in spoiled:
            label(store, range(number, number + 1), wrong=True, who=who)

    result = ours.learn("bad")

    assert not result["promoted"]
    assert "worse on held-out labels" in result["reason"]
    assert "accuracy" in result["reason"]
    assert learning.current_model(store) == champion
    assert ranking(store) == before
    history = learning.training_history(store)
    assert [row["status"] for row in history] == ["refused", "promoted"]
    shadow = learning.list_changes(store, champion, history[0]["model_digest"], top=20)
    assert {row["change"] for row in shadow} == {"enters", "leaves"}
    for row in shadow:
        assert (row["after"] <= 20) == (row["change"] == "enters")
        assert (row["before"] <= 20) == (row["change"] == "leaves")


def test_new_detections_get_the_same_number_as_in_the_pool(store: Store) -> None:
    add(store, 80)
    label(store, range(80))
    ours = learner(store)
    assert ours.learn("one")["promoted"]
    assert ours.score_new() == 0
    add(store, 5, first=80, seed=9)
    assert ours.score_new() == 5
    card = ours._card(learning.current_model(store))
    pool = pool_of(store, 20, 0.3)
    whole = numbers_of(ours.folder, card, pool.vectors, pool.p_values)
    by_id = dict(zip(pool.ids, whole, strict=True))
    assert {d: (p, i) for d, p, i in ranking(store)} == by_id


def test_held_out_frames_take_no_part_in_the_fit(store: Store) -> None:
    add(store, 60)
    label(store, range(40))
    pool = pool_of(store, 20, 0.3)
    rows, classes = fitting_rows(pool)
    assert not pool.is_held_out[rows].any()
    labelled = int((pool.labelled & ~pool.is_held_out).sum())
    assert classes[labelled:] == ["ordinary"] * (len(rows) - labelled)


def test_the_setting_draws_the_line_of_trainings_and_of_the_ranking(
    store: Store, tmp_path: Path
) -> None:
    add(store, 120)
    label(store, range(100))
    settings = Settings(home=tmp_path / "home", label_held_out=0.5)
    ours = Carriers(store, InlineWorkers(), (), settings, ticking()).learner
    assert ours.held_out_share == 0.5
    pool = pool_of(store, 20, ours.held_out_share)
    ranker = Ranker(store, settings, ticking())
    found = ranker._pool()
    ranker.close()
    assert found is not None
    held = dict(zip(found.ids, found.held_out.tolist(), strict=True))
    assert {
        one: bool(is_out) for one, is_out in zip(pool.ids, pool.is_held_out, strict=True)
    } == held
    assert 0.35 < pool.is_held_out.mean() < 0.65
    ours.learn("one")
    (row,) = store.rows("SELECT card FROM models")
    assert json.loads(row["card"])["calibration"]["held_out_share"] == 0.5


def test_models_meet_only_on_frames_that_neither_was_fitted_on(store: Store) -> None:
    """A line moved by the setting would otherwise judge a model on what it has learned."""
    add(store, 160)
    label(store, range(160))
    assert learner(store, held_out=0.3).learn("narrow")["promoted"]
    pool = pool_of(store, 20, 0.5)
    narrow = learner(store)._card(learning.current_model(store))
    held_out, rows = held_out_of(pool, narrow)
    assert (
        set(rows) == set(np.flatnonzero(pool.within(0.3))) < set(np.flatnonzero(pool.is_held_out))
    )
    assert len(held_out.keys) == len(rows)
    # Fitted before cards said how much was held out: 0.3 of the frames.
    assert narrow is not None
    old = replace(narrow, calibration={})
    assert list(held_out_of(pool, old)[1]) == list(rows)
    assert list(held_out_of(pool_of(store, 20, 0.2), narrow)[1]) == list(
        np.flatnonzero(pool.within(0.2))
    )
    figures = learner(store, held_out=0.5).learn("wide")["figures"]
    assert figures["held_out"]["labels"] == len(rows)


def test_a_model_chosen_by_hand_has_numbers_for_everything_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_jobs, "SCORED_AT_ONCE", 2)
    add(store, 80)
    label(store, range(80))
    ours = learner(store)
    ours.learn("one")
    (first,) = [row["model_digest"] for row in learning.training_history(store)]
    assert ours.roll_back("back", "ann", seen=first) is None
    add(store, 5, first=80, seed=9)
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        assert learning.current_model(store) is None
        seen.append((done, total))

    for _ in range(2):
        ours.promote_by_hand("by hand", first, "ann", "", progress)
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert learning.current_model(store) == first
    assert len(ranking(store)) == 85
    with pytest.raises(UsageError, match="another ranking came into use"):
        ours.roll_back("no", "ann", seen="another")
    for _ in range(2):
        assert ours.roll_back("again", "ann") is None
    assert [row["action"] for row in learning.choices(store)][:2] == ["roll_back", "promote"]


def test_a_cancelled_promotion_changes_nothing(store: Store) -> None:
    add(store, 60)
    label(store, range(60))
    ours = learner(store)
    ours.learn("one")
    (first,) = [row["model_digest"] for row in learning.training_history(store)]
    ours.roll_back("back", "ann")

    def progress(done: int, total: int) -> None:
        raise RequestCancelled("taken back")

    with pytest.raises(RequestCancelled, match="taken back"):
        ours.promote_by_hand("by hand", first, "ann", "", progress)
    assert learning.current_model(store) is None


def test_too_few_labels_are_said_so(store: Store) -> None:
    add(store, 30)
    label(store, range(19))
    with pytest.raises(UsageError, match="19 detections are labelled, 20 are needed"):
        learner(store).learn("one")
    assert consistency(store) != []  # the rows of this test refer to no frames
    assert learning.training_history(store) == []


def held_out(n: int = 200, seed: int = 0) -> tuple[HeldOut, np.ndarray]:
    rng = np.random.default_rng(seed)
    liked = rng.uniform(size=n) < 0.4
    every = np.ones(n, dtype=np.bool_)
    votes = np.full(n, 2)
    keys = np.array([f"k{number // 2}" for number in range(n)])
    return HeldOut(keys, every, liked, votes, liked, ~liked), liked


def test_the_contest_goes_by_the_interval_of_the_champion() -> None:
    rows, liked = held_out()
    good = np.where(liked, 0.8, 0.2)
    rng = np.random.default_rng(1)
    flipped = rng.uniform(size=len(liked)) < 0.15
    fair = np.where(flipped, 1 - good, good)
    assert contest(rows, fair, good).promoted
    assert not contest(rows, good, fair).promoted
    same = contest(rows, good, good)
    assert (same.promoted, same.reason) == (False, "it brings nothing")
    figures = contest(rows, fair, good).figures["accuracy"]
    assert figures["low"] < figures["champion"] < figures["high"] < figures["challenger"] == 1.0


def test_good_ranks_with_false_probabilities_are_refused() -> None:
    rows, liked = held_out()
    rng = np.random.default_rng(2)
    honest = np.where(rng.uniform(size=len(liked)) < 0.1, ~liked, liked) * 0.8 + 0.1
    shouting = np.where(liked, 1.0, 0.49)
    verdict = contest(rows, honest, shouting)
    assert not verdict.promoted
    assert "calibration_error" in verdict.reason


def test_too_little_held_out_is_no_contest() -> None:
    rows, liked = held_out(8)
    verdict = contest(rows, np.zeros(8), liked * 1.0)
    assert not verdict.promoted
    assert "8 held-out labels" in verdict.reason


def test_figures_by_hand() -> None:
    assert auroc(np.array([0.1, 0.4]), np.array([0.4, 0.9])) == pytest.approx(0.875)
    answers = np.array([True, True, False, False])
    assert kappa(answers, answers) == 1.0
    assert kappa(np.array([True, False, True, False]), answers) == pytest.approx(0.0)
    assert kappa(answers, np.array([True, True, True, False])) == pytest.approx(0.5)
    assert calibration_error(np.array([0.85, 0.85, 0.15, 0.15]), answers) == pytest.approx(0.15)
