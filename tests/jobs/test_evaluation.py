"""Probabilities are measured against people's edited masks, on the pixels they spoke about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.queries import calibration
from db.store import Store
from engine.metrics.calibration import nll, tempered
from jobs import masks
from jobs.evaluation import PEOPLE, evaluate_cycle, measure
from jobs.packing import pack_arrays
from jobs.registration import registration
from tests.jobs import stubs
from tests.jobs.stubs import NOW, cycle, frame, plan, source_of


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    stubs.use_stub_pipelines(monkeypatch)
    with stubs.opened(tmp_path / "home") as store:
        yield store


def say(store: Store, number: int, edit_id: str, **where: Any) -> None:
    document = {"frame_digest": frame(number).digest, "action": "add", "editor": "ann"}
    masks.edit_from(store, document | where, edit_id=edit_id, now=NOW)


def people(store: Store) -> list[dict[str, Any]]:
    return store.rows(
        "FROM calibration_reports WHERE dataset = ? AND pixels = 'all' ORDER BY measured_at",
        [PEOPLE],
    )


def test_only_pixels_that_a_person_spoke_about_count(store: Store) -> None:
    night = cycle(store, source_of(frame(1), frame(2)))
    night.run()
    evaluate_cycle(night)
    assert people(store) == []

    bright = np.argwhere(frame(1).filled() > 120)
    y, x = (int(place) for place in bright[0])
    say(store, 1, "sure and wrong", action="remove", y0=y, x0=x, height=1, width=1)
    dark = np.argwhere(frame(2).filled() <= 120)
    for number, (y, x) in enumerate(dark[:3].tolist()):
        say(store, 2, f"dark {number}", action="remove", y0=y, x0=x, height=1, width=1)
    evaluate_cycle(night)
    evaluate_cycle(night)

    (report,) = people(store)
    assert (report["n"], report["positives"], report["frames"]) == (4, 0, 2)
    assert report["brier"] == pytest.approx(1 / 4)
    assert report["series"] == PEOPLE
    assert report["temperature"] is None


def test_a_confirmed_frame_counts_as_a_whole_and_a_new_edit_measures_anew(store: Store) -> None:
    night = cycle(store, source_of(frame(1)))
    night.run()
    say(store, 1, "looked at", action="confirm")
    evaluate_cycle(night)
    say(store, 1, "one more", y0=0, x0=0, height=1, width=1)
    evaluate_cycle(night)

    first, second = people(store)
    flagged = int((frame(1).filled() > 120).sum())
    assert (first["n"], first["positives"]) == (32 * 32, flagged)
    assert first["brier"] == pytest.approx(0)
    assert second["n"] == 32 * 32
    assert [row["report_id"] for row in calibration.reports(store) if row["dataset"] == PEOPLE] == [
        second["report_id"]
    ]
    lines = [row["line"] for row in calibration.history(store)]
    assert lines.count(PEOPLE) == 2 * 2  # all and open pixels, twice


def test_the_temperature_is_undone_to_show_what_it_did() -> None:
    from engine.sky import simulated_frame

    made = simulated_frame("undone", 0, size=64)
    stated = np.where(made.truth.cosmic_rays, 0.8, 0.02).astype(np.float16)
    packed = pack_arrays(probability=stated)
    found = {
        (v.pixels, v.stage): v.report
        for v in measure([(made.frame.origin.object_id, 64, packed)], "undone", 0.5)
    }
    assert len(found) == 4
    shipped, plain = found["all", "shipped"], found["all", "untempered"]
    assert shipped.positives == plain.positives > 0
    negatives = shipped.n - shipped.positives
    p = np.r_[np.full(shipped.positives, 0.8), np.full(negatives, 0.02)]
    y = np.arange(shipped.n) < shipped.positives
    assert plain.nll == pytest.approx(nll(tempered(p, 2.0), y), rel=1e-2)
    assert {v.report.n for v in measure([(made.frame.origin.object_id, 64, packed)], "one")} == {
        shipped.n
    }


def test_a_card_may_say_what_each_of_its_reports_is_about() -> None:
    card = dict.fromkeys(
        ("brier", "nll", "ece", "ece_equal_mass", "ece_by_class", "aurc", "temperature"), 0.1
    )
    card |= {"dataset": "pair", "n": 5, "positives": 1, "ece_bins": 15, "ece_norm": "l1"}
    card |= {"reliability": [], "risk_coverage": [[1.0, 0.1]]}
    reports = [card, card | {"pixels": "p >= 0.01"}, card | {"stage": "untempered"}]
    chosen = plan()
    with_reports = dataclasses.replace(
        chosen.cosmicrays.card, calibration={"temperature": 0.8, "reports": reports}
    )
    chosen = dataclasses.replace(
        chosen, cosmicrays=dataclasses.replace(chosen.cosmicrays, card=with_reports)
    )
    rows = registration(chosen, NOW).rows["calibration_reports"]
    assert len({row["report_id"] for row in rows}) == 3
    assert {row["measurement_id"] for row in rows} == {rows[0]["report_id"]}
    assert [(row["pixels"], row["stage"], row["applied_temperature"]) for row in rows] == [
        ("all", "shipped", 0.8), ("p >= 0.01", "shipped", 0.8), ("all", "untempered", 1.0),
    ]  # fmt: skip
