from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.bench.clicks import FILTERS, FIRST_ROWS
from jobs.bench.dashboard import PAGES, bench_dashboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_bench_times_every_page_of_the_store_it_filled(tmp_path: Path) -> None:
    out = tmp_path / "dashboard.json"
    figures = bench_dashboard(out, 0, datetime.now(UTC), frames=3, visits=1, objects=14, rounds=1)
    assert figures["detections"] == 60
    written = json.loads(out.read_text())["figures"]
    assert len(written["pages"]) == len(PAGES)
    assert all(0 < page["again_s"] < 60 for page in written["pages"].values())
    clicks = written["clicks"]
    assert set(clicks["first_row_ms"]) == {*FIRST_ROWS, "all"}
    assert set(clicks["filter_ms"]) == {*FILTERS, "all"}
    assert all(0 < each["p95"] < 30_000 for each in clicks["first_row_ms"].values())
    labelling = written["labelling"]
    assert (labelling["objects"], labelling["undone"], labelling["comments"]) == (14, 1, 1)
    assert labelling["lost_or_wrong"] == 0
    assert labelling["next_object_ms"]["n"] >= 14
