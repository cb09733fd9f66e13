"""One owner at a time: commands go through it, and nothing finished is lost with it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from db import requests as queue
from db.check import consistency
from jobs.errors import OwnerError
from jobs.owner import Owner, start
from jobs.owner_file import NAME, OwnerCard, read_owner, write_owner
from jobs.settings import load_settings
from tests.jobs import stubs
from tests.jobs.commands import QUICK, TINY, Home, ask, one_line, running, succeeded
from tests.jobs.processes import children_of, wait_until
from tests.jobs.serving import served

pytestmark = pytest.mark.slow

NIGHT = "sim:long,frames=1,terrain=5,size=64"
COUNTS = ("asked", "known", "stored", "duplicates", "failed", "ignored")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", QUICK)


def counts(document: dict[str, Any]) -> dict[str, int]:
    return {name: document[name] for name in COUNTS}


def test_commands_go_through_the_owner_also_two_at_once(home: Home) -> None:
    with running(home, "run") as (owner, card):
        left = home.start("scan", "--source", TINY, "--json")
        right = home.start("scan", "--source", TINY.replace("sim:x", "sim:y"), "--json")
        for process in (left, right):
            out, err = process.communicate(timeout=180)
            assert process.returncode == 0, err
            assert json.loads(out)["stored"] == 2
        assert read_owner(home.path) == card

        rows = json.loads(
            succeeded(home.run("db", "sql", "SELECT count(*) AS n FROM frames", "--json"))
        )
        assert rows == [{"n": 4}]
        for second in ("run", "serve"):
            assert "already served at" in one_line(home.run(second))
        workers = children_of(owner.pid)
        assert workers

    assert owner.returncode == 0
    assert not (home.path / NAME).exists()
    wait_until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def test_a_killed_owner_loses_nothing_finished_and_the_next_one_goes_on(
    home: Home, tmp_path: Path
) -> None:
    whole = Home(tmp_path / "whole", home.settings)
    expected = json.loads(succeeded(whole.run("scan", "--source", NIGHT, "--json")))

    with running(home, "run") as (owner, card):
        scan = home.start("scan", "--source", NIGHT, "--json")
        wait_until(lambda: ask(card, "health")["images"] >= 2, seconds=120)
        finished = {row["frame_digest"] for row in ask(card, "images?limit=500")["rows"]}
        family = children_of(owner.pid)
        scan.kill()
        scan.communicate()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert (home.path / NAME).exists()
    assert read_owner(home.path) is None
    wait_until(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()])

    with running(home, "run") as (_, card):
        (request,) = ask_sql(home, "SELECT request_id FROM requests")
        wait_until(lambda: ask(card, f"scans/{request['request_id']}")["state"] == "done", 180)
        result = ask(card, f"scans/{request['request_id']}")["result"]

    assert counts(result) == counts(expected)
    with home.opened() as store, whole.opened() as other:
        stored = {row["frame_digest"] for row in store.rows("SELECT frame_digest FROM frames")}
        assert finished <= stored
        assert consistency(store) == []
        but = ("cycles", "run_events", "heartbeats")
        assert stubs.row_counts(store, but) == stubs.row_counts(other, but)


def ask_sql(home: Home, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(succeeded(home.run("db", "sql", sql, "--json")))
    return rows


def test_a_scan_outlives_the_owner_it_went_through(home: Home) -> None:
    with running(home, "run") as (owner, card):
        scan = home.start("scan", "--source", TINY, "--json")
        wait_until(lambda: ask(card, "health")["running"] == 1, seconds=60)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        out, err = scan.communicate(timeout=180)

    assert scan.returncode == 0, err
    assert json.loads(out)["stored"] == 2


# In this process: what an owner does at its beginning and end.


def test_a_stale_card_is_nobody(tmp_path: Path) -> None:
    with served(tmp_path / "first") as server:
        write_owner(tmp_path, OwnerCard(server.card.pid, "", server.card.address, "x"))
        assert read_owner(tmp_path) is not None
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    write_owner(tmp_path, OwnerCard(ended, "", "http://127.0.0.1:1", "x"))
    assert read_owner(tmp_path) is None


def test_a_card_of_a_process_that_is_no_owner_does_not_keep_others_out(home: Home) -> None:
    home.path.mkdir()
    write_owner(home.path, OwnerCard(os.getpid(), "", "http://127.0.0.1:1", "x"))
    assert succeeded(home.run("db", "sql", "SELECT 1 AS one")) == "one\n1\n"


def test_an_owner_that_cannot_start_lets_the_store_go(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="SOURCE every SECONDS"):
        start(load_settings(home=tmp_path, schedule="nonsense"))
    start(load_settings(home=tmp_path)).close()


def test_a_port_in_use_is_said_in_words(tmp_path: Path) -> None:
    from jobs.server import owning

    with served(tmp_path / "one") as server:
        port = int(server.card.address.rpartition(":")[2])
        with (
            pytest.raises(OwnerError, match="cannot listen on"),
            owning(load_settings(home=tmp_path / "two"), port=port),
        ):
            pass
    start(load_settings(home=tmp_path / "two")).close()


def test_closing_leaves_a_running_request_to_be_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path)
    owner = Owner(settings)
    owner.start()
    owner.enqueue("scan", {"source": "sim:a,frames=4,terrain=0,size=64"}, request_id="r")
    wait_until(lambda: queue.get_request(owner.store, "r")["total"] is not None, 30)
    time.sleep(0.2)

    started = time.monotonic()
    owner.close()
    owner.close()

    assert time.monotonic() - started < 15
    with stubs.opened(tmp_path) as store:
        assert queue.get_request(store, "r")["state"] == "running"
        assert not store.rows("SELECT 1 FROM runs WHERE status = 'failed'")
        assert not store.rows("SELECT 1 FROM intake WHERE outcome = 'failed'")


def test_an_owner_for_one_command_takes_no_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path, schedule="sim:a every 1")
    owner = start(settings, takes_turns=False)
    assert settings.auto_calibrate
    assert not owner.settings.auto_calibrate
    try:
        time.sleep(1.3)
        assert owner.store.rows("SELECT * FROM requests") == []
    finally:
        owner.close()


def test_a_store_that_was_given_up_twice_ends_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db.errors import StoreInvalidated

    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    with served(tmp_path / "home") as server:
        server.owner._store_invalidated()
        assert ended == []

        def given_up(*_: object) -> None:
            raise StoreInvalidated("it stays closed: free disk space and start again")

        with monkeypatch.context() as broken:
            broken.setattr(server.owner.store, "rows", given_up)
            server.owner._store_invalidated()
    assert ended == [70]
