"""A damaged document is never read as a shorter one."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.catalogues import ned, simbad, skybot, tap
from jobs.catalogues.votable import overflowed, read_votable
from jobs.errors import ServiceError
from tests.jobs.catalogues import bodies

ROWS: tuple[bodies.Row, ...] = tuple((f"object {i}", "G", 10.0 + i, -5.0) for i in range(20))
one_cone = partial(tap.listings, simbad.BASIC, cones=1, most_rows=100)
two_cones = partial(tap.listings, simbad.BASIC, cones=2, most_rows=100)
WHOLE = bodies.simbad(*ROWS)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE) - 2))
def test_no_beginning_of_a_document_is_a_document(length: int) -> None:
    with pytest.raises(ServiceError, match="no readable VOTable"):
        read_votable(WHOLE[:length])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.integers(0, len(WHOLE)), st.integers(0, 40))
def test_damage_reads_as_an_error_or_as_a_listing(patch: bytes, at: int, removed: int) -> None:
    """Whatever comes, the reader returns a listing or says ServiceError; nothing else escapes."""
    body = WHOLE[:at] + patch + WHOLE[at + removed :]
    for listing in (one_cone, two_cones, ned.listing, skybot.listing):
        try:
            read = listing(body)
        except ServiceError:
            continue
        whole = read if isinstance(read, list) else [read]
        assert sum(map(len, whole)) <= len(ROWS)


def test_overflow_is_seen_wherever_it_stands() -> None:
    assert overflowed(read_votable(bodies.simbad(status="OVERFLOW")))
    assert not overflowed(read_votable(bodies.simbad(status="OK")))


def test_entities_that_grow_without_end_are_refused() -> None:
    bomb = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 20 if i else "x" * 100}">' for i in range(12))
    body = f"<?xml version='1.0'?><!DOCTYPE V [{bomb}]><VOTABLE>&e11;</VOTABLE>".encode()
    with pytest.raises(ServiceError, match="no readable VOTable"):
        read_votable(body)
