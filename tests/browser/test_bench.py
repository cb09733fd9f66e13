from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.bench.clicks import FILTERS, FIRST_ROWS
from jobs.bench.dashboard import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MEASURE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from jobs.bench.dashboard import bench_dashboard

bench_dashboard(
    Path(sys.argv[1]), 0, datetime.now(UTC), frames=3, visits=1, objects=14, rounds=1
)
"""


def test_the_bench_times_every_page_of_the_store_it_filled(tmp_path: Path) -> None:
    """In a process of its own: playwright bears one event loop in a thread."""
    out = tmp_path / "dashboard.json"
    subprocess.run([sys.executable, "-c", MEASURE, str(out)], check=True, timeout=600)
    written = json.loads(out.read_text())["figures"]
    assert written["detections"] == 60
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
