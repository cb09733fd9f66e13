"""The benchmark of the store, run small."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.bench.store import bench_store


@pytest.mark.slow
def test_the_figures_say_what_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "store.json"
    now = datetime(2026, 11, 20, tzinfo=UTC)
    figures = bench_store(out, 3, now, batches=4, detections=200, kills=1)
    written = json.loads(out.read_text())
    assert (written["bench"], written["seed"], written["date"]) == (
        "store",
        3,
        "2026-11-20T00:00:00+00:00",
    )
    assert written["figures"] == json.loads(json.dumps(figures))
    assert figures["appends"]["rows_per_batch"] == 1 + 3 * 20
    assert figures["pages"]["detections"] >= 200
    spread = figures["pages"]["at_rest"]
    assert 0 < spread["median_ms"] <= spread["p95_ms"] <= spread["max_ms"]
    assert figures["kills"]["lost_batches"] == 0
