"""Calibrations are numbered, drift asks for one, and nothing is judged by what it fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from db.check import consistency
from db.queries.anomalies import page_of_detections
from db.store import Store
from engine.cards import ModelCard, write_card
from jobs.errors import UsageError
from jobs.plan import find_reference, version_of
from jobs.recalibration import (
    REST,
    drift_to_answer,
    fit_source,
    next_name,
    normals_of,
    note_calibration,
    note_if_own,
)
from tests.jobs import stubs
from tests.jobs.stubs import NOW, cycle, frame, source_of
from tests.store_factory import fill

SOURCE = "folder:/taken"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stubs.opened(tmp_path / "home") as store:
        yield store


def drifted(store: Store, *, expired: bool, at: Any = NOW, model: str = "m") -> None:
    store.write(
        {
            "drift_reports": [
                {
                    "report_id": f"{at}{expired}{model}", "source": SOURCE, "reference": "r",
                    "model_digest": model, "n": 100, "expired": expired,
                    "reason": "the median is 80", "cycle_id": "c", "measured_at": at,
                }
            ]
        }
    )  # fmt: skip


def asked(store: Store, state: str, at: Any) -> None:
    row = {
        "request_id": f"{state}{at}", "kind": "calibrate", "payload": {"source": SOURCE},
        "state": state, "asked_at": at,
    }  # fmt: skip
    store.write({"requests": [row]})


def written(folder: Path, name: str, source: str, trained_at: str) -> None:
    folder.mkdir(exist_ok=True)
    weights = folder / f"{name}.safetensors"
    weights.write_bytes(name.encode())
    from engine.cards import file_digest

    facts = {"domain": [source], "fitted_on": 40}
    write_card(
        folder,
        replace(
            stubs.card("anomaly", name),
            digest=file_digest(weights), architecture=facts, trained_at=trained_at,
        ),
    )  # fmt: skip


def own_card(name: str = "reference-x-v1") -> ModelCard:
    facts = {"domain": [SOURCE], "fitted_on": 40}
    return replace(stubs.card("anomaly", name), architecture=facts, calibration={"rows": 30})


def test_a_later_version_is_taken_and_none_is_written_over(tmp_path: Path) -> None:
    first = next_name(tmp_path, SOURCE)
    written(tmp_path, first, SOURCE, "2026-01-01T00:00:00+00:00")
    second = next_name(tmp_path, SOURCE)
    assert (version_of(first), version_of(second)) == (1, 2)
    written(tmp_path, second, SOURCE, "2026-01-01T00:00:00+00:00")
    written(tmp_path, "other", "sim:else", "2030-01-01T00:00:00+00:00")
    assert find_reference(tmp_path, SOURCE) == (tmp_path, second)
    assert find_reference(tmp_path, "sim:nothing")[1] == "anomaly-sim"
    for number in range(3, 12):
        written(tmp_path, next_name(tmp_path, SOURCE), SOURCE, "2026-01-01T00:00:00+00:00")
        assert version_of(find_reference(tmp_path, SOURCE)[1]) == number


def test_calibrations_are_numbered_by_source_and_noted_once(store: Store) -> None:
    assert note_calibration(store, SOURCE, own_card(), cause="person", now=NOW) == 1
    assert note_calibration(store, SOURCE, own_card(), cause="drift", now=NOW) is None
    second = own_card("reference-x-v2")
    assert note_calibration(store, SOURCE, second, cause="drift", now=NOW, reason="why") == 2
    note_if_own(store, "sim:else", own_card("reference-x-v3"), NOW)
    rows = store.rows("SELECT version, cause, reason, fitted_on FROM calibrations ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [
        (1, "person", "", 40), (2, "drift", "why", 40),
    ]  # fmt: skip
    assert consistency(store) == []


def test_drift_asks_once_a_day_and_not_while_one_waits(store: Store) -> None:
    assert drift_to_answer(store, SOURCE, "m", NOW) is None
    drifted(store, expired=True)
    assert drift_to_answer(store, SOURCE, "m", NOW) == "the median is 80"
    assert drift_to_answer(store, SOURCE, "another model", NOW) is None
    asked(store, "failed", NOW)
    assert drift_to_answer(store, SOURCE, "m", NOW + REST / 2) is None
    assert drift_to_answer(store, SOURCE, "m", NOW + 2 * REST) is not None
    asked(store, "running", NOW - 9 * REST)
    assert drift_to_answer(store, SOURCE, "m", NOW + 2 * REST) is None


def test_results_are_marked_until_a_later_report_says_otherwise(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        fill(store)
        model = store.rows("SELECT DISTINCT model_digest FROM runs WHERE pipeline = 'anomaly'")
        digest = model[0]["model_digest"]

        def marked() -> set[tuple[str, bool]]:
            rows = page_of_detections(store, limit=100).rows
            return {(row["source"], row["calibration_expired"]) for row in rows}

        store.write({"drift_reports": [report("sim:demo", digest, NOW, expired=True)]})
        assert marked() == {("sim:demo", True), ("folder:/images", False)}
        later = NOW + timedelta(hours=1)
        store.write({"drift_reports": [report("sim:demo", digest, later, expired=False)]})
        assert marked() == {("sim:demo", False), ("folder:/images", False)}


def report(source: str, digest: str, at: Any, *, expired: bool) -> dict[str, Any]:
    return {
        "report_id": f"{source}{at}", "source": source, "reference": "r", "model_digest": digest,
        "n": 100, "expired": expired, "reason": "", "cycle_id": "c", "measured_at": at,
    }  # fmt: skip


def test_a_near_miss_says_by_how_much(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        fill(store)
        policy = {"policy_digest": "p", "pipeline": "anomaly",
                  "policy": {"false_positive_rate": 0.003}, "registered_at": NOW}  # fmt: skip
        store.write({"policies": [policy]})
        store.move("UPDATE runs SET policy_digest = 'p' WHERE pipeline = 'anomaly' RETURNING 1")
        store.move("UPDATE detections SET p_value = 0.03 WHERE verdict = 'near_miss' RETURNING 1")
        rows = page_of_detections(store, limit=100).rows
    missed = {row["verdict"]: row["missed_by_decades"] for row in rows}
    assert missed["near_miss"] == pytest.approx(1.0)
    assert {value for verdict, value in missed.items() if verdict != "near_miss"} == {None}


@pytest.mark.slow
def test_what_people_accepted_is_no_normal(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stubs.use_stub_pipelines(monkeypatch)
    cycle(store, source_of(*(frame(seed) for seed in range(22)))).run()
    found = store.rows("SELECT detection_id, frame_digest FROM detections ORDER BY 1 LIMIT 1")[0]
    said = {"label_id": "l", "detection_id": found["detection_id"], "label": "accept",
            "labeller": "a", "labelled_at": NOW}  # fmt: skip
    store.write({"labels": [said]})
    digests = {each.digest for each in normals_of(store, SOURCE)}
    assert len(digests) == 21
    assert found["frame_digest"] not in digests
    assert len(normals_of(store, SOURCE, most=20)) == 20
    with pytest.raises(UsageError, match=r"at least 20 stored frames, there are 0"):
        normals_of(store, "sim:else")


@pytest.mark.slow
def test_a_reference_is_fitted_on_stored_frames_and_judges_them_crosswise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.anomalies.reference import Reference
    from engine.errors import NotApplicable
    from jobs.sources import load, open_source

    class NoCosmicRays:
        """The networks cost more than what is tested here."""

        def run(self, *_: Any) -> None:
            raise NotApplicable("none here")

    monkeypatch.setattr("engine.cosmicrays.pipeline.CosmicRayPipeline", NoCosmicRays)
    source = open_source("sim:nearby,frames=24,size=128,terrain=0", max_pixels=10**7)
    frames = [offer.frame for item in source.items() for offer in load(item) if offer.frame]
    fitted = fit_source(frames, source.name, "reference-a-v1", tmp_path, "morphology", NOW)
    reference = Reference.load(tmp_path / "reference-a-v1.safetensors")
    assert reference.partner is not None
    assert fitted.card.calibration["rows"] == fitted.calibrated_on == reference.calibrated_on
    assert find_reference(tmp_path, source.name) == (tmp_path, "reference-a-v1")
    assert not reference.calibration_keys & reference.partner.calibration_keys
