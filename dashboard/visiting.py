"""Who looks, and when they last did: by name where one was given, else by browser."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import streamlit as st

from dashboard import who
from dashboard.browser_name import COOKIE, NAME
from db.store import Store
from db.visits import Visit, look

NOTED_EVERY = timedelta(minutes=1)


def note_visit(store: Store) -> Visit:
    """Note that somebody looks, at most once a minute, and return the visit it belongs to."""
    person, now = who.person(), store.now()
    kept: tuple[str, datetime, Visit] | None = st.session_state.get("visit")
    if kept is not None and kept[0] == person and now - kept[1] < NOTED_EVERY:
        return kept[2]
    visit = look(store, visit_id=uuid.uuid4().hex, browser=_browser(), person=person, now=now)
    st.session_state["visit"] = (person, now, visit)
    return visit


def _browser() -> str:
    """The browser's name from its cookie; without one, a name for this session."""
    name = str(st.context.cookies.get(COOKIE, ""))
    if NAME.fullmatch(name):
        return name
    given: str = st.session_state.setdefault("browser_name", uuid.uuid4().hex)
    return given
