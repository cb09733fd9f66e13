"""When schedules come round: intervals, cron lines, downtime and clocks that are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import UsageError
from jobs.rhythm import check_rhythm, first_turn, next_turn, rhythm_text

CREATED = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)


def interval(seconds: float) -> dict[str, object]:
    return {"every_s": seconds, "cron": None, "created_at": CREATED}


def cron(line: str) -> dict[str, object]:
    return {"every_s": None, "cron": line, "created_at": CREATED}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("30 4 * * *", "2026-03-03T04:30"),
        ("*/20 * * * *", "2026-03-02T12:20"),
        ("0 6 * * 0", "2026-03-08T06:00"),
        ("0 6 * * 7", "2026-03-08T06:00"),
        ("0 6 * * 1", "2026-03-09T06:00"),
        ("0 6 * * 2-4", "2026-03-03T06:00"),
        ("0 6 * * sat,sun", "2026-03-07T06:00"),
        ("0 6 * * */2", "2026-03-03T06:00"),
        ("0 0 1 4 *", "2026-04-01T00:00"),
    ],
)
def test_a_cron_line_is_read_as_crontab_reads_it(line: str, due: str) -> None:
    assert first_turn(cron(line), None, CREATED) == at(due)


def test_the_second_turn_of_a_cron_line_is_not_the_first_again() -> None:
    turn = at("2026-03-03T04:30")
    assert first_turn(cron("30 4 * * *"), turn, turn) == at("2026-03-04T04:30")
    assert next_turn(cron("30 4 * * *"), turn, turn) == at("2026-03-04T04:30")


@pytest.mark.parametrize("row", [interval(3600), cron("0 * * * *")])
def test_turns_missed_for_days_are_due_once_and_now(row: dict[str, object]) -> None:
    now = CREATED + timedelta(days=9, minutes=7)
    assert first_turn(row, CREATED, now) == now
    assert now < next_turn(row, now, now) <= now + HOUR


@pytest.mark.parametrize("row", [interval(3600), cron("0 * * * *")])
def test_a_clock_set_back_by_days_delays_by_one_interval_at_most(row: dict[str, object]) -> None:
    last = CREATED + timedelta(days=30)
    assert CREATED < first_turn(row, last, CREATED) <= CREATED + HOUR


@given(
    every=st.floats(1, 1e6), ahead=st.floats(0, 1e7), late=st.floats(0, 1e7)
)  # fmt: skip
def test_the_next_turn_is_after_now_and_in_the_rhythm(
    every: float, ahead: float, late: float
) -> None:
    previous = CREATED + timedelta(seconds=ahead)
    now = previous + timedelta(seconds=late)
    following = next_turn(interval(every), previous, now)
    assert now < following <= now + timedelta(seconds=every)
    turns = (following - previous) / timedelta(seconds=every)
    assert turns == pytest.approx(round(turns), abs=1e-3)


@pytest.mark.parametrize(
    ("every_s", "line", "message"),
    [
        (None, None, "give an interval"),
        (60.0, "* * * * *", "not both"),
        (0.5, None, "comes round every 1 to"),
        (None, "* * * *", "five fields"),
        (None, "61 * * * *", "cannot be read"),
        (None, "0 0 * * 9", "cannot be read"),
        (None, "0 0 * * someday", "cannot be read"),
        (None, "0 0 30 2 *", "never comes round"),
    ],
)
def test_a_rhythm_that_cannot_be_is_refused(
    every_s: float | None, line: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_rhythm(every_s, line)


def test_a_rhythm_is_told_in_words() -> None:
    assert [rhythm_text(interval(s)) for s in (30, 90, 7200, 86400)] == [
        "every 30 s", "every 1.5 min", "every 2 h", "every 1 d",
    ]  # fmt: skip
    assert rhythm_text(cron("0 4 * * *")) == "at 0 4 * * * UTC"
