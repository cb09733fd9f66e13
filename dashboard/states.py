"""What a page says when it has nothing to show yet, waits, shows what is old, or failed.

Each state is designed once, here: empty (what is missing and the next step), loading (a place of
the size of what comes), stale (how old it is, and what was expected), failure (what to do).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import streamlit as st

from dashboard.access import owner
from dashboard.figures import age, literal
from dashboard.progress import follow
from jobs.errors import JobError

DEMO = "sim:demo"


def empty(what: str, hint: str = "") -> None:
    """Say that there is no `what` yet and offer the demo night."""
    st.info(f"No {what} yet. {hint}".strip(), icon=":material/inbox:")
    st.session_state.setdefault("demo_request", uuid.uuid4().hex)
    st.button(
        "Fill the store with a simulated night",
        key="demo",
        on_click=_ask_for_demo,
        args=(st.session_state["demo_request"],),
        type="primary",
    )
    st.caption(
        "The same from a terminal: `skysieve demo`. For your own images: "
        "`skysieve scan --source folder:/path/to/images`, or the form on the Jobs page."
    )
    if st.session_state.get("demo_asked"):
        follow(st.session_state["demo_request"])


def nothing(text: str) -> None:
    """Say that a part of a page has nothing to show, and why that is well."""
    st.caption(text)


@contextmanager
def loading(height: int) -> Iterator[None]:
    """Keep a place of `height` pixels while what belongs there is made."""
    with st.skeleton(height=height):
        yield


def stale(what: str, moment: datetime | None, usual: timedelta, now: datetime) -> bool:
    """Warn when `what` is older than is usual for it; returns whether it is."""
    if moment is None or now - moment <= usual:
        return False
    st.warning(
        f"{what} is from {age(moment, now)}: older than it should be.", icon=":material/history:"
    )
    return True


def failure(error: Exception) -> None:
    """Show an error that the program raised on purpose; its message says what to do."""
    st.error(literal(error), icon=":material/error:")


def _ask_for_demo(request_id: str) -> None:
    payload = {"source": DEMO, "limit": None, "aggressive": False}
    try:
        owner().enqueue("scan", payload, request_id=request_id, asked_by="dashboard")
    except JobError as error:
        failure(error)
        return
    st.session_state["demo_asked"] = True
