"""Every command in a real process: its help, its main use, and one line when it cannot."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.cards import WEIGHTS
from jobs.owner_file import NAME
from tests.jobs import stubs
from tests.jobs.commands import (
    QUICK,
    TINY,
    Home,
    command,
    elapsed,
    one_line,
    running,
    succeeded,
)
from tests.jobs.processes import wait_until
from tests.loopback import free_port

pytestmark = pytest.mark.slow

COMMANDS = (
    "demo", "configure", "serve", "run", "scan", "compress", "decompress", "clean", "cluster",
    "score", "crossmatch", "doctor", "train codec", "train cosmicrays", "train anomaly",
    "bench codec", "bench cosmicrays", "bench anomaly", "bench scan", "bench store",
    "bench dashboard", "bench cosmicrays-speed", "bench artefacts", "bench search", "downlink",
    "receive", "labels import", "labels export", "labels export-masks", "models fetch",
    "models list", "db migrate", "db sql", "db export", "db backup", "db restore",
)  # fmt: skip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose store holds a tiny scanned night, and is owned by `skysieve run`."""
    home = Home(tmp_path_factory.mktemp("commands") / "home", QUICK)
    with running(home, "run"):
        counts = report(home, "scan", "--source", TINY, "--once")
        assert (counts["asked"], counts["stored"]) == (2, 2)
        yield home


@pytest.fixture
def empty(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", QUICK)


def report(home: Home, *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(succeeded(home.run(*arguments, "--json")))
    return document


def rows(home: Home, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeeded(home.run("db", "sql", sql, "--json")))
    return found


# Help.


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    from typer.main import get_command

    from jobs.cli.app import app

    for name in COMMANDS:
        arguments = [*name.split(), "--help"]
        get_command(app).main(arguments, prog_name="skysieve", standalone_mode=False)
        assert f"Usage: skysieve {name}" in capsys.readouterr().out


def test_there_is_no_command_without_a_test_of_its_help() -> None:
    from typer.main import get_command

    from jobs.cli.app import app

    def named(group: Any, before: str = "") -> set[str]:
        found: set[str] = set()
        for name, inner in group.commands.items():
            found |= named(inner, f"{name} ") if hasattr(inner, "commands") else {before + name}
        return found

    assert named(get_command(app)) == set(COMMANDS)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['skysieve', '--help']\n" + (
        "from jobs.cli.app import app\ntry:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'astropy', 'duckdb', 'streamlit', 'pandas', 'transformers'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert elapsed("--help") < 3.0


# What each is for.


def test_a_scan_again_adds_nothing_and_says_so(night: Home) -> None:
    counts = report(night, "scan", "--source", TINY)
    assert (counts["asked"], counts["known"], counts["stored"]) == (2, 2, 0)


def test_what_a_scan_stored_can_be_asked_for(night: Home) -> None:
    found = rows(
        night, "SELECT pipeline, status, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL"
    )
    assert found == [
        {"pipeline": "anomaly", "status": "ok", "n": 2},
        {"pipeline": "codec", "status": "ok", "n": 2},
        {"pipeline": "cosmicrays", "status": "not_applicable", "n": 1},
        {"pipeline": "cosmicrays", "status": "ok", "n": 1},
    ]
    text = succeeded(night.run("db", "sql", "SELECT 1 AS one, NULL AS nothing"))
    assert text == "one\tnothing\n1\t\n"


def test_labels_travel_as_csv(night: Home, tmp_path: Path) -> None:
    (detection,) = rows(night, "SELECT detection_id FROM detections LIMIT 1")
    written, read = tmp_path / "labels.csv", tmp_path / "again.csv"
    with written.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["label_id", "detection_id", "label", "labeller", "comment", "labelled_at"])
        writer.writerow(
            ["l1", detection["detection_id"], "accept", "ada", "two\nlines", "2026-03-01T00:00:00Z"]
        )

    assert report(night, "labels", "import", str(written)) == {"added": 1, "known": 0}
    assert report(night, "labels", "import", str(written)) == {"added": 0, "known": 1}
    assert report(night, "labels", "export", str(read))["labels"] == 1
    (row,) = csv.DictReader(read.read_text().splitlines(keepends=True))
    assert (row["label"], row["comment"]) == ("accept", "two\nlines")


def test_a_backup_makes_the_same_store_elsewhere(night: Home, empty: Home, tmp_path: Path) -> None:
    backup = tmp_path / "night.backup"
    assert report(night, "db", "backup", str(backup))["bytes"] == backup.stat().st_size

    report(empty, "db", "restore", str(backup))

    counted = "SELECT count(*) AS n, min(frame_digest) AS first FROM frames"
    assert rows(empty, counted) == rows(night, counted)
    assert "not an empty folder" in one_line(empty.run("db", "restore", str(backup)))


def test_an_export_is_parquet(night: Home, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    report(night, "db", "export", str(tmp_path / "out"))
    assert pq.read_table(tmp_path / "out" / "frames.parquet").num_rows == 2


def test_a_store_says_its_version(empty: Home) -> None:
    first = report(empty, "db", "migrate")
    assert first["version"] == first["applied"] >= 1


def test_settings_are_shown_changed_and_kept(empty: Home) -> None:
    assert report(empty, "configure")["codec_bpp"] == 0.5
    assert report(empty, "configure", "codec_bpp", "0.25") == {"codec_bpp": 0.25}
    assert report(empty, "configure", "codec_bpp") == {"codec_bpp": 0.25}
    assert "codec_bpp" in one_line(empty.run("configure", "codec_bpp", "0"))
    assert "no setting 'nothing'" in one_line(empty.run("configure", "nothing", "1"))
    assert report(empty, "configure", "codec_bpp") == {"codec_bpp": 0.25}


def test_the_token_is_kept_and_not_shown(empty: Home) -> None:
    assert report(empty, "configure", "token", '"sesame"') == {"token": "(set)"}
    kept = empty.path / "settings.json"
    assert json.loads(kept.read_text()) == {"token": "sesame"}
    assert kept.stat().st_mode & 0o077 == 0


def test_pictures_below_a_folder_are_scanned_from_where_one_stands(
    empty: Home, tmp_path: Path
) -> None:
    stubs.write_picture(tmp_path / "night" / "one.png", side=64)
    (tmp_path / "night" / "notes.txt").write_text("-")
    done = subprocess.run(
        command("scan", "--source", "folder:night", "--json"), cwd=tmp_path, text=True,
        env=empty.environment, capture_output=True, check=True,
    )  # fmt: skip
    counts = json.loads(done.stdout)
    assert (counts["asked"], counts["stored"], counts["ignored"]) == (2, 1, 1)


def test_the_dashboard_and_the_api_are_served_together(empty: Home) -> None:
    port = free_port()
    with running(empty, "serve", "--port", str(port)) as (_, card):
        address = f"http://127.0.0.1:{port}"
        assert card.address == address
        wait_until(lambda: answers(f"{address}/_stcore/health"), seconds=60)
        assert requests.get(f"{address}/_stcore/health", timeout=10).text == "ok"
        assert requests.get(f"{address}/api/health", timeout=10).json()["images"] == 0
        assert requests.get(f"{address}/api/nothing", timeout=10).status_code == 404
        foreign = requests.post(
            f"{address}/api/scans", headers={"Origin": "http://evil.example"}, timeout=10
        )
        assert foreign.status_code == 403
        assert rows(empty, "SELECT count(*) AS n FROM frames") == [{"n": 0}]
    assert not (empty.path / NAME).exists()


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_doctor_and_models_report(empty: Home) -> None:
    checks = {check["name"]: check["state"] for check in report(empty, "doctor")["checks"]}
    assert checks["store"] == "ok"
    assert {"models"} == set(report(empty, "models", "list"))


# What cannot be.


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("scan", "--source", "ftp:host"), "no source 'ftp:host'"),
        (("scan", "--source", "folder:/no/such/place"), "no folder at /no/such/place"),
        (("scan", "--source", TINY, "--once", "--interval", "5"), "exclude each other"),
        (("scan", "--source", TINY, "--calibrate"), "needs at least 20 stored frames"),
        (("db", "sql", "DELETE FROM frames"), "only reads"),
        (("db", "export", "/proc/nowhere"), "/proc/nowhere"),
        (("labels", "export", "/no/such/folder/labels.csv"), "/no/such/folder/labels.csv"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    empty: Home, arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in one_line(empty.run(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [("configure", "codec_bpp", "-1"), ("scan",), ("frobnicate",), ("scan", "--limit", "x")],
)
def test_a_command_typed_wrongly_is_said_in_one_line(
    empty: Home, arguments: tuple[str, ...]
) -> None:
    done = empty.run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("skysieve: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_setting_that_cannot_work_is_said_in_one_line(tmp_path: Path) -> None:
    home = Home(tmp_path, {"SKYSIEVE_WORKERS": "many"})
    assert "workers" in one_line(home.run("db", "migrate"))


@pytest.mark.skipif(not list(WEIGHTS.glob("codec.json")), reason="the weights are not here yet")
def test_the_demo_fills_an_empty_store_once(empty: Home) -> None:
    first = report(empty, "demo")
    assert (first["asked"], first["stored"], first["failed"]) == (52, 52, 0)
    again = report(empty, "demo")
    assert (again["known"], again["stored"]) == (52, 0)
    assert rows(empty, "SELECT count(*) AS n FROM runs WHERE status = 'failed'") == [{"n": 0}]
