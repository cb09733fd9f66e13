"""Verify: one detection at a time, by keyboard; who said what, and what it taught."""

from __future__ import annotations

from collections.abc import Container

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import literal
from dashboard.states import empty
from dashboard.verification import identity
from dashboard.verification.desk import show_desk
from dashboard.verification.history import show_history
from dashboard.verification.lessons import show_lessons
from dashboard.verification.people import show_people
from dashboard.verification.queues import QUEUES
from db.queries import overview, verify

VIEWS = {"label": "Label", "history": "My labels", "people": "People", "ranking": "Ranking"}


def show() -> None:
    """Lay the page out."""
    st.title("Verify")
    owner()
    if ask(overview.counts)["detections"] == 0:
        empty("detections to verify")
        return
    labeller = identity.labeller()
    if labeller is None:
        return
    left, middle, right = st.columns([4, 5, 3], vertical_alignment="center")
    _take_from_address("view", VIEWS)
    with left:
        view = st.segmented_control(
            "View",
            list(VIEWS),
            default=None if "view" in st.session_state else "label",
            required=True,
            format_func=VIEWS.__getitem__,
            key="view",
            label_visibility="collapsed",
        )
    _keep_in_address("view", view)
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        st.markdown(f"**{literal(labeller)}**", width="content")
        identity.change_button()
    if view == "history":
        show_history(labeller)
    elif view == "people":
        show_people(labeller)
    elif view == "ranking":
        show_lessons()
    else:
        with middle:
            queue = _queue_choice(labeller)
        st.caption(QUEUES[queue][1])
        show_desk(labeller, queue)


def _queue_choice(labeller: str) -> str:
    lengths = ask(verify.queue_lengths, labeller, owner().labelling.rule)
    _take_from_address("queue", QUEUES)
    queue: str = st.selectbox(
        "Queue",
        list(QUEUES),
        key="queue",
        format_func=lambda name: f"{QUEUES[name][0]} ({lengths[name]})",
        label_visibility="collapsed",
    )
    _keep_in_address("queue", queue)
    return queue


def _take_from_address(name: str, options: Container[str]) -> None:
    """Begin with what the link names, or with what was chosen before another page was opened."""
    asked = st.query_params.get(name) or st.session_state.get(f"verify_{name}")
    if name not in st.session_state and asked in options:
        st.session_state[name] = asked


def _keep_in_address(name: str, value: str | None) -> None:
    """Let the address lead back here."""
    st.session_state[f"verify_{name}"] = value
    if value and st.query_params.get(name) != value:
        st.query_params[name] = value


show()
