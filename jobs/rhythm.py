"""When a schedule comes round: an interval, or a cron line in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.triggers.cron import CronTrigger

from jobs.errors import UsageError

LONGEST_S = 366 * 86_400.0
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
TICK = timedelta(microseconds=1)


def check_interval(every_s: float) -> None:
    """Raise UsageError unless a schedule can come round in this many seconds."""
    if not 1 <= every_s <= LONGEST_S:
        raise UsageError(
            f"a schedule comes round every 1 to {LONGEST_S:.0f} seconds, got {every_s!r}"
        )


def check_rhythm(every_s: float | None, cron: str | None) -> None:
    """Raise UsageError unless exactly one of interval and cron line is there and can come round."""
    if (every_s is None) == (cron is None):
        raise UsageError("give an interval (every_s) or a cron line (cron), and not both")
    if every_s is not None:
        check_interval(every_s)
    if cron is not None and _cron(cron).get_next_fire_time(None, datetime.now(UTC)) is None:
        raise UsageError(f"the cron line {cron!r} never comes round")


def first_turn(row: dict[str, Any], last: datetime | None, now: datetime) -> datetime:
    """When a schedule is due next, from when it was asked `last` (None: never).

    A turn that passed while nobody was there is due now, once, however many passed. A clock that
    was set back does not make anybody wait longer than one interval.
    """
    anchor = last or row["created_at"]
    if row["cron"] is None:
        every = timedelta(seconds=row["every_s"])
        return max(now, min(anchor + every, now + every))
    if anchor > now:
        return next_turn(row, now, now)
    following = _cron(row["cron"]).get_next_fire_time(None, anchor + TICK)
    return max(now, following or now)


def next_turn(row: dict[str, Any], previous: datetime, now: datetime) -> datetime:
    """The first turn after `now` in the rhythm that `previous` belongs to."""
    if row["cron"] is not None:
        following = _cron(row["cron"]).get_next_fire_time(None, now + TICK)
        return following or now + timedelta(seconds=LONGEST_S)
    every = timedelta(seconds=row["every_s"])
    passed = max(0, (now - previous) // every)
    return previous + (passed + 1) * every


def rhythm_text(row: dict[str, Any]) -> str:
    """The rhythm in words."""
    if row["cron"] is not None:
        return f"at {row['cron']} UTC"
    seconds = float(row["every_s"])
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"every {seconds / length:g} {unit}"
    return f"every {seconds:g} s"


def _cron(line: str) -> CronTrigger:
    """The trigger of five fields: minute, hour, day of month, month, day of week (0 and 7 Sunday).

    APScheduler counts days of the week from Monday, crontab(5) from Sunday: they go by name.
    """
    fields = line.split()
    if len(fields) != 5:
        raise UsageError(
            f"a cron line has five fields (minute hour day month weekday, UTC), got {line!r}"
        )
    minute, hour, day, month, weekday = fields
    try:
        return CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday),
            timezone=UTC,
        )  # fmt: skip
    except (ValueError, KeyError) as error:
        raise UsageError(f"the cron line {line!r} cannot be read: {error}") from error


def _weekdays(field: str) -> str:
    """Numbers, ranges and steps of weekdays as names; names stay."""
    names: list[str] = []
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*" and not step:
            return "*"
        first = 0 if span == "*" else _weekday(low)
        last = 6 if span == "*" or (step and not dash) else _weekday(high) if dash else first
        if last < first:
            last += 7
        names += [DAYS[number % 7] for number in range(first, last + 1, int(step or 1))]
    return ",".join(dict.fromkeys(names))


def _weekday(text: str) -> int:
    number = DAYS.index(text) if text in DAYS else int(text)
    if not 0 <= number <= 7:
        raise ValueError(f"a weekday is 0 to 7, got {text}")
    return number
