"""Schedules come round in their rhythm, catch up once, and do not pile up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db import requests as queue
from db.queries.jobs import events
from db.schedules import list_schedules, put_schedule, remove_schedule
from db.store import Store
from jobs.errors import SettingsError, SourceError, UsageError
from jobs.rhythm import check_interval
from jobs.schedule_checks import check_schedule
from jobs.scheduler import TURN, Schedules
from jobs.seeding import schedules_from
from jobs.settings import load_settings
from tests.jobs import stubs
from tests.jobs.processes import wait_until

SOURCE = "sim:tests,frames=1"
OFTEN_S = 0.1
SELDOM_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stubs.opened(tmp_path / "home") as store:
        yield store


@pytest.fixture
def schedules(store: Store) -> Iterator[Schedules]:
    def enqueue(kind: str, payload: dict[str, Any], request_id: str, asked_by: str) -> None:
        now = datetime.now(UTC)
        queue.enqueue(store, kind, payload, request_id=request_id, asked_by=asked_by, now=now)

    schedules = Schedules(store, enqueue)
    yield schedules
    schedules.close()


def put(store: Store, every_s: float, *, paused: bool = False, age_s: float = 0.0) -> None:
    created = datetime.now(UTC) - timedelta(seconds=age_s)
    put_schedule(
        store, schedule_id="s", source=SOURCE, every_s=every_s, frame_limit=7, paused=paused,
        now=created,
    )  # fmt: skip


def asked(store: Store) -> list[dict[str, Any]]:
    rows = store.rows("SELECT request_id, asked_by FROM requests ORDER BY asked_at")
    return [queue.get_request(store, row["request_id"]) | row for row in rows]


def finish_all(store: Store) -> None:
    while request := queue.claim_next(store, datetime.now(UTC)):
        queue.finish(store, request["request_id"], state="done", now=datetime.now(UTC))


def test_a_schedule_comes_round_again_and_again(store: Store, schedules: Schedules) -> None:
    put(store, OFTEN_S)
    schedules.start()

    for turns in (1, 2, 3):
        wait_until(lambda turns=turns: len(asked(store)) >= turns)
        finish_all(store)

    first = asked(store)[0]
    assert (first["kind"], first["asked_by"]) == ("scan", TURN)
    assert first["payload"] == {
        "source": SOURCE, "limit": 7, "aggressive": False, "schedule_id": "s",
    }  # fmt: skip


def test_the_first_turn_is_one_interval_after_it_was_made(
    store: Store, schedules: Schedules
) -> None:
    put(store, SELDOM_S)
    schedules.start()
    (row,) = list_schedules(store)
    assert schedules.next_turns() == {"s": row["created_at"] + timedelta(seconds=SELDOM_S)}
    assert asked(store) == []


def test_a_paused_schedule_waits_until_it_is_resumed(store: Store, schedules: Schedules) -> None:
    put(store, OFTEN_S, paused=True, age_s=60)
    schedules.start()
    assert schedules.next_turns() == {"s": None}

    put(store, OFTEN_S)
    schedules.refresh()

    wait_until(lambda: len(asked(store)) == 1)


def test_turns_missed_while_nobody_was_there_are_caught_up_once(
    store: Store, schedules: Schedules
) -> None:
    put(store, SELDOM_S, age_s=10 * SELDOM_S)

    schedules.start()

    wait_until(lambda: len(asked(store)) == 1)
    finish_all(store)
    next_turn = schedules.next_turns()["s"]
    assert next_turn is not None
    assert next_turn > datetime.now(UTC) + timedelta(seconds=SELDOM_S / 2)
    assert len(asked(store)) == 1


def test_running_now_keeps_the_rhythm(store: Store, schedules: Schedules) -> None:
    put(store, SELDOM_S)
    schedules.start()
    before = schedules.next_turns()

    schedules.run_now("s", "now-please")
    schedules.refresh()

    assert [request["request_id"] for request in asked(store)] == ["now-please"]
    assert schedules.next_turns() == before


def test_a_restart_keeps_the_rhythm(store: Store, schedules: Schedules) -> None:
    put(store, SELDOM_S, age_s=5000)
    turn = datetime.now(UTC) - timedelta(seconds=600)
    payload = {"source": SOURCE, "schedule_id": "s"}
    queue.enqueue(store, "scan", payload, request_id="r", asked_by=TURN, now=turn)

    schedules.start()

    assert schedules.next_turns() == {"s": turn + timedelta(seconds=SELDOM_S)}


def test_a_turn_is_skipped_while_the_last_scan_runs(store: Store, schedules: Schedules) -> None:
    put(store, OFTEN_S)
    schedules.start()
    wait_until(lambda: bool(events(store)))

    assert len(asked(store)) == 1
    (event, *_) = events(store)
    assert event["kind"] == "skipped"
    assert "still goes" in event["message"]


def test_trouble_of_a_turn_is_written_down(store: Store) -> None:
    def stumble(*_: object) -> None:
        raise RuntimeError("no queue")

    schedules = Schedules(store, stumble)
    put(store, OFTEN_S)
    schedules.start()
    try:
        wait_until(lambda: bool(events(store)))
    finally:
        schedules.close()
    assert events(store)[0]["message"] == "schedule s: no queue"


def test_a_removed_schedule_takes_no_more_turns(store: Store, schedules: Schedules) -> None:
    put(store, SELDOM_S)
    schedules.start()
    remove_schedule(store, "s")
    schedules.refresh()
    assert schedules.next_turns() == {}


@pytest.mark.parametrize("every_s", [0.0, -1.0, 0.5, 1e12, float("inf"), float("nan")])
def test_an_interval_that_cannot_come_round_is_refused(every_s: float) -> None:
    with pytest.raises(UsageError, match="comes round every 1 to"):
        check_interval(every_s)


def test_schedules_of_the_settings_are_written_once(store: Store, tmp_path: Path) -> None:
    text = f"{SOURCE} every 60; sim:other every 3600.5;"
    settings = load_settings(home=tmp_path, schedule=text)

    schedules_from(settings, store, stubs.NOW)
    put_schedule(
        store, schedule_id=list_schedules(store)[0]["schedule_id"], source=SOURCE, every_s=5,
        paused=True, now=stubs.NOW,
    )  # fmt: skip
    schedules_from(settings, store, stubs.NOW)

    rows = list_schedules(store)
    assert {(row["source"], row["every_s"], row["paused"]) for row in rows} == {
        (SOURCE, 5.0, True), ("sim:other", 3600.5, False),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["sim:night", "every 60", "sim:night every day"])
def test_a_setting_that_names_no_schedule_is_refused(
    store: Store, tmp_path: Path, text: str
) -> None:
    with pytest.raises(SettingsError, match="SOURCE every SECONDS"):
        schedules_from(load_settings(home=tmp_path, schedule=text), store, stubs.NOW)


def test_a_schedule_over_nothing_is_refused(store: Store, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, schedule="folder:/no/such/place every 60")
    with pytest.raises(SourceError, match="no folder at"):
        schedules_from(settings, store, stubs.NOW)


def test_a_cron_line_is_kept_by_the_clock_of_the_schedules(store: Store) -> None:
    ahead = timedelta(days=400, hours=3)
    asked_for: list[dict[str, Any]] = []

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    schedules = Schedules(store, lambda *asking: asked_for.append(asking[1]), clock)
    put_schedule(
        store, schedule_id="c", source=SOURCE, every_s=None, cron="0 4 * * *",
        policy="aggressive", now=clock(),
    )  # fmt: skip
    schedules.start()
    try:
        turn = schedules.next_turns()["c"]
        assert turn is not None
        near = turn + timedelta(seconds=30)
        assert (near.hour, near.minute) == (4, 0)
        assert timedelta(0) < turn - clock() <= timedelta(days=1)
        schedules.run_now("c", "r")
    finally:
        schedules.close()
    assert asked_for == [
        {"source": SOURCE, "limit": None, "aggressive": True, "schedule_id": "c"}
    ]  # fmt: skip


def test_a_choice_among_sources_is_drawn_and_told(store: Store) -> None:
    asked_for: list[dict[str, Any]] = []
    schedules = Schedules(store, lambda *asking: asked_for.append(asking[1]))
    put_schedule(
        store, schedule_id="t", source="sim:a | sim:b", every_s=60, choice="thompson",
        now=datetime.now(UTC),
    )  # fmt: skip
    schedules.run_now("t", "r")
    (payload,) = asked_for
    assert payload["source"] in ("sim:a", "sim:b")
    (event,) = events(store)
    assert event["kind"] == "chosen"
    assert event["message"].startswith(f"{payload['source']} was drawn")


def test_a_schedule_of_learning_asks_to_learn(store: Store) -> None:
    asked_for: list[tuple[Any, ...]] = []
    schedules = Schedules(store, lambda *asking: asked_for.append(asking))
    put_schedule(
        store, schedule_id="l", source="interest", kind="learn", every_s=60, now=datetime.now(UTC)
    )
    schedules.run_now("l", "r")
    assert asked_for == [("learn", {"role": "interest", "schedule_id": "l"}, "r", "run now")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"policy": "greedy"}, "policy must be one of normal, aggressive"),
        ({"choice": "dice"}, "choice must be one of fixed, thompson"),
        ({"kind": "dance"}, "kind must be one of scan, learn"),
        ({"kind": "learn"}, "what can be learned: interest"),
        ({"choice": "thompson"}, "two sources or more"),
        ({"cron": "* * * * *"}, "not both"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(changed: dict[str, str], message: str) -> None:
    row = {
        "source": SOURCE, "every_s": 60.0, "cron": None, "kind": "scan", "policy": "normal",
        "choice": "fixed",
    }  # fmt: skip
    with pytest.raises(UsageError, match=message):
        check_schedule(row | changed, lambda _: None)
