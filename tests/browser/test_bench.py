from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.bench.dashboard import PAGES, bench_dashboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_bench_times_every_page_of_the_store_it_filled(tmp_path: Path) -> None:
    out = tmp_path / "dashboard.json"
    figures = bench_dashboard(out, 0, datetime.now(UTC), frames=2, visits=1)
    assert figures["detections"] == 40
    written = json.loads(out.read_text())["figures"]
    assert len(written["pages"]) == len(PAGES)
    assert all(0 < page["again_s"] < 60 for page in written["pages"].values())
