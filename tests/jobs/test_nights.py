"""After a cycle: what its detections allow to claim, and whether the calibration still holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.queries import evidence
from db.store import Store
from engine.results import AnomalyResult, Verdict
from jobs.cycle import Cycle
from jobs.nights import conclude_night, newest_percentiles
from tests.jobs import stubs
from tests.jobs.stubs import StubAnomalies, cycle, frame, source_of

pytestmark = pytest.mark.slow
ARTEFACTS = (2, 5)


class Graded(StubAnomalies):
    """One detection a frame whose p-value is the frame's number over 100; two are artefacts."""

    def run(self, frame: Any, rng: Any, **versions: Any) -> AnomalyResult:
        result = super().run(frame, rng, **versions)
        number = int(frame.origin.object_id.removeprefix("object-"))
        p_value = number / 100
        (found,) = result.detections
        score = replace(found.scores[0], percentile=100 * (1 - p_value), p_value=p_value)
        verdict = Verdict.ARTEFACT if number in ARTEFACTS else Verdict.NEAR_MISS
        graded = replace(found, p_value=p_value, verdict=verdict, scores=(score,))
        return replace(result, detections=(graded,))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    stubs.use_stub_pipelines(monkeypatch)
    monkeypatch.setattr("jobs.worker._anomaly_pipeline", lambda *_: Graded())
    with stubs.opened(tmp_path / "home") as store:
        yield store


def night_of(store: Store, *numbers: int) -> Cycle:
    made = cycle(store, source_of(*(frame(number) for number in numbers)))
    made.run()
    return made


def test_a_list_leaves_artefacts_out_and_says_when_nothing_can_be_claimed(store: Store) -> None:
    night = night_of(store, 1, 2, 5, 30, 60, 80)
    conclude_night(night, rate=0.03)
    (listed,) = evidence.latest_lists(store)
    assert (listed["tested"], listed["claimed"]) == (4, 0)
    assert listed["smallest_p_value"] == pytest.approx(0.01)
    assert "no list can be given at 3%" in listed["message"]
    rows = evidence.list_rows(store, listed["list_id"])
    assert [row["object_id"] for row in rows] == ["object-1", "object-30", "object-60", "object-80"]
    # Benjamini-Hochberg by hand: min over j >= i of p_j * 4 / j.
    assert [row["adjusted_p_value"] for row in rows] == pytest.approx([0.04, 0.6, 0.8, 0.8])
    assert not any(row["is_discovery"] for row in rows)
    assert {row["verdict"] for row in rows} == {"near_miss"}


def test_what_can_be_claimed_is_listed_and_a_repeat_changes_nothing(store: Store) -> None:
    night = night_of(store, 1, 60, 80)
    conclude_night(night, rate=0.1)
    conclude_night(night, rate=0.1)
    (listed,) = evidence.latest_lists(store)
    assert (listed["tested"], listed["claimed"], listed["source"]) == (3, 1, "folder:/taken")
    (row,) = evidence.list_rows(store, listed["list_id"])
    assert row["is_discovery"]
    assert row["adjusted_p_value"] == pytest.approx(0.03)


def test_drift_is_measured_without_artefacts_and_says_when_they_are_few(store: Store) -> None:
    night = night_of(store, 1, 2, 5, 30)
    digest = night.plan.anomaly.card.digest
    found = newest_percentiles(store, "folder:/taken", digest)["combined"]
    np.testing.assert_allclose(np.sort(found), [70, 99])
    conclude_night(night, rate=0.1)
    (report,) = evidence.drift(store)
    assert (report["n"], report["expired"], report["model_digest"]) == (2, False, digest)
    assert "at least 60 are needed" in report["reason"]


def test_a_cycle_without_detections_concludes_nothing(store: Store) -> None:
    conclude_night(night_of(store), rate=0.1)
    assert evidence.latest_lists(store) == evidence.drift(store) == []
