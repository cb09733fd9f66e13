"""What the list shows, kept in the session and in the address, so that a link restores it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from db.queries.anomalies import EVERYTHING
from db.queries.wanted import SORTS, Range, Wanted
from jobs.addresses import ANOMALOUS, address_of, wanted_of
from jobs.errors import UsageError

FACES = ("gallery", "table", "map", "scores", "clusters", "nights", "flares")
SHOWN, ADDRESS, REVISION = "list_shown", "list_address", "list_revision"
TAKEN_UP = "list_taken_up"


@dataclass(frozen=True)
class Shown:
    """What the list is narrowed to, its order, and the face it is seen by."""

    wanted: Wanted = EVERYTHING
    sort: str = ANOMALOUS
    face: str = FACES[0]

    @property
    def address(self) -> dict[str, str]:
        """The query of its address."""
        face = {"view": self.face} if self.face != FACES[0] else {}
        return address_of(self.wanted, self.sort) | face


def shown() -> Shown:
    """What the list shows now."""
    found: Shown = st.session_state.get(SHOWN, Shown())
    return found


def show(what: Shown, *, widgets: bool = True) -> None:
    """Let the list show something else; `widgets` are then drawn anew with these values."""
    st.session_state[SHOWN] = what
    if widgets:
        st.session_state[REVISION] = revision() + 1


def narrow(**facets: object) -> None:
    """Change some facets of what the list shows."""
    now = shown()
    show(replace(now, wanted=replace(now.wanted, **facets)))  # type: ignore[arg-type]


def revision() -> int:
    """A number that changes when widgets must take up new values; part of their keys."""
    return int(st.session_state.get(REVISION, 0))


def restore() -> str | None:
    """Take up the address where it is not the one published last; returns what is wrong with it."""
    query = {name: value for name, value in st.query_params.items() if name != "detection"}
    if not query or query == st.session_state.get(ADDRESS):
        return None
    st.session_state[ADDRESS] = query
    st.session_state[TAKEN_UP] = True
    try:
        wanted, sort = wanted_of(query)
    except UsageError as error:
        return str(error)
    face = query.get("view", FACES[0])
    show(Shown(wanted, sort if sort in SORTS else ANOMALOUS, face if face in FACES else FACES[0]))
    return None


def publish() -> None:
    """Put what the list shows into the address."""
    address = shown().address
    # A link from this very page sets the query but not the browser's address; writing it does.
    if st.session_state.pop(TAKEN_UP, False) or address != st.query_params.to_dict():
        st.query_params.from_dict(address)
    st.session_state[ADDRESS] = address


def with_range(wanted: Wanted, measure: str, low: float | None, high: float | None) -> Wanted:
    """The same with one measure bounded otherwise; without bounds it is free."""
    others = tuple(each for each in wanted.ranges if each.measure != measure)
    bounded = () if low is None and high is None else (Range(measure, low, high),)
    return replace(wanted, ranges=others + bounded)
