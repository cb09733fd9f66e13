"""A list of detections as an address: facets, intervals, days, text and sort, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import quote, unquote

from db.errors import StoreError
from db.queries.wanted import Box, Range, Wanted, value_of
from jobs.errors import UsageError

FACETS = {
    "verdict": "verdicts",
    "source": "sources",
    "class": "classes",
    "cluster": "clusters",
    "state": "states",
    "label": "labels",
    "called": "kinds",
    "grade": "grades",
}
OTHERS = frozenset({"q", "since", "until", "sort", "cursor", "limit", "format", "box"})
ANOMALOUS = "anomalous"


def wanted_of(query: Mapping[str, str], default_verdict: str | None = None) -> tuple[Wanted, str]:
    """What an address asks for, and its sort: `verdict=a,b`, `p_value=0..0.01`, `since=DAY`.

    Several values of a facet are joined by commas (a comma within one is %2C), an interval is
    `LOW..HIGH` with either end left open, `box=MAP:X..X:Y..Y` a rectangle on a map. `verdict=all`
    is every verdict. Raises UsageError for what cannot be read.
    """
    lists = {
        field: tuple(unquote(value) for value in query.get(name, "").split(",") if value)
        for name, field in FACETS.items()
    }
    if not lists["verdicts"] and default_verdict:
        lists["verdicts"] = (default_verdict,)
    if lists["verdicts"] == ("all",):
        lists["verdicts"] = ()
    ranges = tuple(
        range_of(name, value)
        for name, value in query.items()
        if ".." in value and name not in FACETS and name not in OTHERS
    )
    wanted = Wanted(
        **lists,
        since=day_of("since", query.get("since")),
        until=day_of("until", query.get("until")),
        text=query.get("q") or None,
        ranges=ranges,
        box=box_of(query.get("box")),
    )
    return wanted, query.get("sort") or ANOMALOUS


def address_of(wanted: Wanted, sort: str = ANOMALOUS) -> dict[str, str]:
    """The query of an address that `wanted_of` reads back."""
    query = {
        name: ",".join(quote(value, safe=" /:+()") for value in getattr(wanted, field))
        for name, field in FACETS.items()
    }
    query |= {
        "since": wanted.since.isoformat() if wanted.since else "",
        "until": wanted.until.isoformat() if wanted.until else "",
        "q": wanted.text or "",
    }
    query |= {each.measure: interval(each.low, each.high) for each in wanted.ranges}
    if wanted.box:
        query["box"] = f"{wanted.box.map_id}:{interval(*wanted.box.x)}:{interval(*wanted.box.y)}"
    if sort != ANOMALOUS:
        query["sort"] = sort
    return {name: value for name, value in query.items() if value}


def day_of(name: str, text: str | None) -> date | None:
    """A day such as 2026-11-20. Raises UsageError for anything else."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{name} must be a day such as 2026-11-20, got {text!r}") from error


def range_of(measure: str, text: str) -> Range:
    """An interval such as 0..0.01, 5.. or ..5. Raises UsageError for anything else."""
    try:
        value_of(measure)
    except StoreError as error:
        raise UsageError(str(error)) from error
    low, dots, high = text.partition("..")
    try:
        if not dots:
            raise ValueError("no dots")
        return Range(measure, float(low) if low else None, float(high) if high else None)
    except ValueError as error:
        raise UsageError(f"{measure} must be an interval such as 0..0.01, got {text!r}") from error


def box_of(text: str | None) -> Box | None:
    """A rectangle such as MAP:0..1:2..3. Raises UsageError for anything else."""
    if not text:
        return None
    map_id, *sides = text.split(":")
    try:
        (x_low, x_high), (y_low, y_high) = (map(float, side.split("..")) for side in sides)
    except ValueError as error:
        raise UsageError(f"box must be MAP:X..X:Y..Y, got {text!r}") from error
    return Box(map_id, (x_low, x_high), (y_low, y_high))


def interval(low: float | None, high: float | None) -> str:
    """An interval as `range_of` reads it."""
    ends = ("" if end is None else repr(float(end)) for end in (low, high))
    return "..".join(ends)
