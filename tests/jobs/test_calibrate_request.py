"""A drift flag leads to a calibration, and that to results of the new reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db import requests as queue
from db.check import consistency
from db.store import Store
from jobs.carriers import Carriers
from jobs.plan import Plan
from jobs.recalibration import Fitted
from jobs.settings import load_settings
from tests.jobs import stubs
from tests.jobs.stubs import InlineWorkers, ticking, write_picture

pytestmark = pytest.mark.slow


class Loop:
    """Carriers over a folder of pictures; what is asked for is kept."""

    def __init__(self, store: Store, root: Path) -> None:
        self.store, self.source = store, f"folder:{root / 'in'}"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.carriers = Carriers(
            store, InlineWorkers(), (),
            load_settings(home=root / "home", digest_at="", auto_calibrate=True), ticking(),
            ask=lambda kind, payload, _id, _by: self.asked.append((kind, payload)),
        )  # fmt: skip

    def carry_out(self, kind: str, request_id: str, **payload: Any) -> dict[str, Any]:
        queue.enqueue(self.store, kind, {"source": self.source, **payload}, request_id=request_id,
                      asked_by="", now=stubs.NOW)  # fmt: skip
        request = queue.claim_next(self.store, stubs.NOW)
        assert request is not None
        result = dict(self.carriers.by_kind()[kind](request))
        queue.finish(self.store, request_id, state="done", result=result, now=stubs.NOW)
        return result


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    for number in range(22):
        write_picture(tmp_path / "in" / f"{number}.png", seed=number)
    stubs.use_stub_pipelines(monkeypatch)
    made: list[str] = []

    def plan(*_: Any, **__: Any) -> Plan:
        first = stubs.plan()
        name = made[-1] if made else "anomaly"
        card = replace(stubs.card("anomaly", name), architecture={"embedder": "e"})
        return replace(first, anomaly=replace(first.anomaly, card=card))

    def fit(frames: Any, source: str, name: str, *_: Any) -> Fitted:
        made.append(name)
        facts = {"domain": [source], "fitted_on": len(frames)}
        card = replace(stubs.card("anomaly", name), architecture=facts, calibration={"rows": 11})
        return Fitted(card, len(frames), 11)

    monkeypatch.setattr("jobs.carriers.make_plan", plan)
    monkeypatch.setattr("jobs.carriers.fit_source", fit)
    with stubs.opened(tmp_path / "home") as store:
        yield Loop(store, tmp_path)


def flagged(loop: Loop, model: str) -> None:
    loop.store.write(
        {
            "drift_reports": [
                {"report_id": "r", "source": loop.source, "reference": "r", "model_digest": model,
                 "n": 99, "expired": True, "reason": "the median is 80", "cycle_id": "c",
                 "measured_at": stubs.NOW.replace(year=2030)}
            ]
        }
    )  # fmt: skip


def test_a_flag_asks_for_a_calibration_whose_results_come_to_the_front(loop: Loop) -> None:
    loop.carry_out("scan", "first")
    assert loop.asked == []
    flagged(loop, "digest-of-anomaly")
    loop.carry_out("scan", "second")
    ((kind, payload),) = loop.asked
    assert (kind, payload["cause"], payload["reason"]) == (
        "calibrate", "drift", "the median is 80",
    )  # fmt: skip

    result = loop.carry_out("calibrate", "third", **payload)

    assert (result["version"], result["fitted_on"], result["calibrated_on"]) == (1, 22, 11)
    in_front = loop.store.rows(
        "SELECT DISTINCT model_digest FROM current_runs WHERE pipeline = 'anomaly'"
    )
    assert in_front == [{"model_digest": f"digest-of-{result['reference']}"}]
    expired = "SELECT 1 FROM current_runs JOIN expired_calibrations USING (model_digest)"
    assert loop.store.rows(expired) == []
    (row,) = loop.store.rows("SELECT cause, reason, version FROM calibrations")
    assert tuple(row.values()) == ("drift", "the median is 80", 1)
    assert consistency(loop.store) == []


def test_the_policy_of_a_scan_is_kept_with_its_cycle(loop: Loop) -> None:
    loop.carry_out("scan", "one", limit=1)
    loop.carry_out("scan", "two", limit=1, aggressive=True)
    rows = loop.store.rows("SELECT cycle_id, policy FROM cycles ORDER BY cycle_id")
    assert [tuple(row.values()) for row in rows] == [("one", "normal"), ("two", "aggressive")]
    kinds = loop.store.rows("SELECT kind FROM run_events WHERE cycle_id = 'one'")
    assert [row["kind"] for row in kinds] == ["listed", "ended"]
