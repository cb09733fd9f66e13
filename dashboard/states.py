"""What a page says when it has nothing to show, or something failed."""

from __future__ import annotations

import uuid

import streamlit as st

from dashboard.access import owner
from dashboard.figures import literal
from dashboard.progress import follow
from jobs.errors import JobError

DEMO = "sim:demo"


def empty(what: str, hint: str = "") -> None:
    """Say that there is no `what` yet and offer the demo night."""
    st.info(f"No {what} yet. {hint}".strip())
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


def failure(error: Exception) -> None:
    """Show an error that the program raised on purpose; its message says what to do."""
    st.error(literal(error))


def _ask_for_demo(request_id: str) -> None:
    payload = {"source": DEMO, "limit": None, "aggressive": False}
    try:
        owner().enqueue("scan", payload, request_id=request_id, asked_by="dashboard")
    except JobError as error:
        failure(error)
        return
    st.session_state["demo_asked"] = True
