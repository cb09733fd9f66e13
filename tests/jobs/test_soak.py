"""The soak: its audit sees what is lost, twice or silent; a short one finds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.bench.soak_audit import audit
from jobs.bench.soak_life import clock_of
from jobs.bench.soak_post import LOG_FILE
from jobs.sources import Offer
from tests.jobs import stubs
from tests.jobs.stubs import NOW, Taken, cycle, frame

pytestmark = pytest.mark.slow

LEDGER = {"file:///a": "frame", "file:///b": "frame", "file:///c": "failed", "file:///d": "ignored"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, a broken one and a text, as one cycle takes them in."""
    stubs.use_stub_pipelines(monkeypatch)
    offers = (
        ("file:///a", (Offer(part="", frame=frame(1)),)),
        ("file:///b", (Offer(part="", frame=frame(2)),)),
        ("file:///c", (Offer(part="", outcome="failed", reason="truncated"),)),
        ("file:///d", (Offer(part="", outcome="ignored", reason="no image"),)),
    )
    with stubs.opened(tmp_path / "home") as store:
        cycle(store, Taken(offers)).run()
    return tmp_path / "home"


def spoil(home: Path, sql: str) -> None:
    with stubs.opened(home) as store:
        assert store.move(sql)


def faults(home: Path, ledger: dict[str, str] = LEDGER, contents: int = 2) -> list[str]:
    found: dict[str, Any] = audit(home, ledger, contents, final=True)
    return list(found["faults"])


def test_a_whole_store_has_no_faults(home: Path) -> None:
    found = audit(home, LEDGER, 2, final=True)
    assert found["faults"] == []
    assert (found["cycles"], found["frames_stored"], found["lost"]) == (1, 2, 0)


def test_a_lost_file_is_seen_in_the_end_only(home: Path) -> None:
    more = LEDGER | {"file:///e": "frame"}
    assert faults(home, more, 3) == ["2 files or frames are lost"]
    assert audit(home, more, 3, final=False)["faults"] == []


def test_what_became_something_else_is_seen(home: Path) -> None:
    changed = LEDGER | {"file:///c": "frame"}
    assert "1 files became something else" in faults(home, changed)[0]


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("INSERT INTO intake SELECT * REPLACE (intake_id || 'x' AS intake_id) FROM intake "
         "WHERE outcome = 'stored' RETURNING 1", "4 files or frames are there twice"),
        ("UPDATE intake SET reason = '' WHERE outcome = 'failed' RETURNING 1",
         "1 failures have no reason"),
        ("DELETE FROM runs WHERE pipeline = 'codec' RETURNING 1",
         "2 frames lack runs of a pipeline"),
        ("UPDATE cycles SET state = 'done', asked = 9 RETURNING 1",
         "1 finished cycles do not add up"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(home: Path, sql: str, fault: str) -> None:
    spoil(home, sql)
    assert fault in faults(home)


def test_a_missing_file_is_seen(home: Path) -> None:
    with stubs.opened(home) as store:
        digest = store.rows("SELECT pixels_file FROM frames LIMIT 1")[0]["pixels_file"]
        store.files.path(digest).unlink()
    assert any("files are not on disk" in fault for fault in faults(home))


def test_a_message_that_came_twice_is_seen(home: Path) -> None:
    said = json.dumps("folder:/in one: fake") + "\n"
    (home.parent / LOG_FILE).write_text(said)
    assert faults(home) == []
    (home.parent / LOG_FILE).write_text(said + said)
    assert faults(home) == ["1 messages came twice"]


def test_the_clock_is_ahead_by_what_the_file_says(tmp_path: Path) -> None:
    clock = clock_of(tmp_path / "clock")
    before = clock()
    (tmp_path / "clock").write_text("-86400.0")
    assert timedelta(0) < before - clock() - timedelta(days=1) + timedelta(minutes=1)
    assert clock() > NOW


def test_a_short_soak_finds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    arguments = ["bench", "scan", "--soak", "--cycles", "4", "--seed", "3", "--out", str(out)]
    ended = subprocess.run(
        [sys.executable, "-m", "jobs.cli.app", *arguments],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(out.read_text())["figures"]
    assert figures["faults"] == []
    assert figures["audits"] == figures["lives"] + 1
    assert figures["cycles"] >= 4
    assert (figures["lost"], figures["twice"], figures["silent"]) == (0, 0, 0)
    assert figures["frames_stored"] == figures["frames_laid"]


def test_no_torch_is_loaded() -> None:
    code = "import sys, jobs.bench.soak, jobs.bench.soak_life; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
