"""The realised rate of a simulated night is counted against exact truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.queries.jobs import realised_rates
from engine.sky import simulated_again
from jobs.realised import Realised, count_by_truth, evaluate_rates
from jobs.sources import open_source
from tests.jobs import stubs

pytestmark = pytest.mark.slow

NIGHT = "sim:rates,frames=1,terrain=0,size=128"


def test_detections_are_counted_by_what_they_are() -> None:
    nights = {f"rates-{n:04d}": simulated_again(f"rates-{n:04d}").truth for n in range(12)}
    name = next(k for k, t in nights.items() if any(thing.is_anomaly for thing in t.objects))
    truth = nights[name]
    brightest = max(truth.objects, key=lambda thing: thing.is_anomaly * 1e9 + thing.flux_e)
    nothing = (-500.0, -500.0, 20, 0.001, True)
    there = (brightest.x, brightest.y, 20, 0.001, True)
    missed = (brightest.x, brightest.y, 20, 0.4, False)
    found = count_by_truth([(name, 256, [nothing, there, missed])])
    assert (found.anomalies, found.anomalies_called, found.normals) == (2, 1, 0)


def test_the_rates_are_told() -> None:
    text = Realised(200, 3, 10, 7).told("aggressive", 0.05)
    assert text == (
        "aggressive policy, stated rate 5 %: 3 of 200 normals were candidates (1.5 %), as were 7 "
        "of 10 injected anomalies"
    )


def test_each_policy_has_its_own_line_and_a_cycle_without_news_adds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubs.use_stub_pipelines(monkeypatch)
    source = open_source(NIGHT, max_pixels=10**7)
    with stubs.opened(tmp_path / "home") as store:
        for number, policy in enumerate(("normal", "normal", "aggressive")):
            plan = stubs.plan(aggressive=policy == "aggressive")
            cycle = stubs.cycle(store, source, f"c{number}", plan=plan, policy=policy)
            cycle.run()
            evaluate_rates(cycle)
            store.move("UPDATE cycles SET policy = ? WHERE cycle_id = ? RETURNING 1",
                       [policy, f"c{number}"])  # fmt: skip
        rows = {row["policy"]: row["message"] for row in realised_rates(store)}
        events = store.rows("SELECT 1 FROM run_events WHERE kind = 'realised rate'")
    assert len(events) == 2
    assert "normal policy, stated rate 1 %: " in rows["normal"]
    assert "aggressive policy, stated rate 5 %: " in rows["aggressive"]
