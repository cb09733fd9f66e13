"""Addresses of lists: what is wanted comes back from its address."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.queries.wanted import MEASURES, SORTS, Box, Range, Wanted
from jobs.addresses import address_of, wanted_of
from jobs.errors import UsageError

names = st.lists(st.text(min_size=1).filter(lambda s: s != "all"), unique=True, max_size=3)
ends = st.none() | st.floats(allow_nan=False)
numbers = st.floats(allow_nan=False, allow_infinity=False)
ranges = st.lists(
    st.builds(Range, st.sampled_from([*MEASURES, "percentile:knn"]), ends, ends),
    unique_by=lambda each: each.measure, max_size=3,
)  # fmt: skip
wants = st.builds(
    Wanted,
    verdicts=names.map(tuple),
    sources=names.map(tuple),
    clusters=names.map(tuple),
    labels=names.map(tuple),
    kinds=names.map(tuple),
    grades=names.map(tuple),
    since=st.none() | st.dates(),
    until=st.none() | st.dates(),
    text=st.none() | st.text(min_size=1),
    ranges=ranges.map(tuple),
    box=st.none() | st.builds(
        Box, st.just("map"), st.tuples(numbers, numbers), st.tuples(numbers, numbers)
    ),
)  # fmt: skip


@given(wants, st.sampled_from(sorted(SORTS)))
def test_an_address_restores_what_was_wanted(wanted: Wanted, sort: str) -> None:
    found, order = wanted_of(address_of(wanted, sort))
    assert order == sort
    assert set(found.ranges) == set(wanted.ranges)
    assert found == Wanted(**{**vars(wanted), "ranges": found.ranges})


def test_an_address_is_read_as_a_person_writes_it() -> None:
    query = {"verdict": "candidate,near_miss", "p_value": "..0.01", "since": "2026-11-20",
             "q": "ring", "sort": "newest", "limit": "5"}  # fmt: skip
    wanted, sort = wanted_of(query)
    assert sort == "newest"
    assert wanted == Wanted(
        verdicts=("candidate", "near_miss"),
        since=date(2026, 11, 20),
        text="ring",
        ranges=(Range("p_value", None, 0.01),),
    )
    assert wanted_of({}, "candidate")[0].verdicts == ("candidate",)
    assert wanted_of({"verdict": "all"}, "candidate")[0].verdicts == ()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, "since must be a day"),
        ({"snr": "a..b"}, "snr must be an interval"),
        ({"d.x": "1..2"}, r"no measure 'd\.x'"),
        ({"box": "map:1..2"}, "box must be MAP"),
    ],
)
def test_what_cannot_be_read_says_how_it_is_written(query: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wanted_of(query)
