"""The owner's heartbeat: an absence is noted, a clock that was set is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from db.heartbeats import last_heartbeat
from db.queries.jobs import events
from db.store import Store
from jobs.pulse import Pulse
from tests.jobs.stubs import NOW, opened


class Hands:
    """A clock and the time that really passed, set apart by hand."""

    def __init__(self) -> None:
        self.now, self.passed, self.jumps = NOW, 0.0, 0

    def go(self, seconds: float, *, passed: float | None = None) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds if passed is None else passed

    def jumped(self) -> None:
        self.jumps += 1

    def pulse(self, store: Store, owner_id: str) -> Pulse:
        return Pulse(
            store, owner_id, lambda: self.now, self.jumped, every_s=0, elapsed=lambda: self.passed
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "home") as store:
        yield store


def test_a_pulse_is_written_and_ends(store: Store) -> None:
    hands = Hands()
    pulse = hands.pulse(store, "one")
    pulse.start()
    hands.go(5)
    changes = store.changes
    pulse.beat()
    assert store.changes == changes
    row = last_heartbeat(store)
    assert row is not None
    assert (row["beat_at"], row["ended"]) == (NOW + timedelta(seconds=5), "")
    pulse.close()
    assert (last_heartbeat(store) or {})["ended"] == "closed"
    assert events(store) == []


def test_an_owner_that_was_killed_is_noted_by_the_next(store: Store) -> None:
    hands = Hands()
    hands.pulse(store, "killed").start()
    hands.go(7200)
    hands.pulse(store, "next").start()
    (event,) = events(store)
    assert event["kind"] == "owner"
    assert "last alive 7200 s ago (nobody saw it end)" in event["message"]
    ended = {row["owner_id"]: row["ended"] for row in store.rows("SELECT * FROM heartbeats")}
    assert ended == {"killed": "nobody saw it end", "next": ""}


@pytest.mark.parametrize("seconds", [3600, -86_400])
def test_a_clock_that_is_set_is_noticed_once(store: Store, seconds: float) -> None:
    hands = Hands()
    pulse = hands.pulse(store, "one")
    pulse.start()
    hands.go(5)
    pulse.beat()
    hands.go(seconds, passed=5)
    pulse.beat()
    hands.go(5)
    pulse.beat()
    assert hands.jumps == 1
    (event,) = events(store)
    assert f"set by {seconds - 5:+.0f} s" in event["message"]
