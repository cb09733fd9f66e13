"""Saved views: what the list shows, kept under a name with a link of its own."""

from __future__ import annotations

import uuid
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from dashboard import who
from dashboard.access import ask, owner
from dashboard.anomaly_list import state
from dashboard.figures import age, literal
from dashboard.states import failure
from db import saved_views
from db.errors import StoreError
from jobs.errors import JobError

PAGE = "anomalies"
ERROR = "view_error"


def views() -> None:
    """Lay the saved views out, and the form that saves this one."""
    found = ask(saved_views.saved_views, PAGE)
    with st.popover("Views", icon=":material/bookmarks:"):
        if ERROR in st.session_state:
            failure(st.session_state.pop(ERROR))
        for row in found:
            link, away = st.columns([5, 1], vertical_alignment="center")
            link.page_link(
                "views/anomalies.py", label=row["name"], icon=":material/bookmark:",
                query_params=dict(parse_qsl(row["query"])) or None,
                help=f"saved by {literal(row['saved_by'])}, {age(row['saved_at'])}",
            )  # fmt: skip
            away.button(
                ":material/delete:", key=f"away_{row['saving_id']}", type="tertiary",
                help=f"Take {literal(row['name'])} away", on_click=_remove, args=(row["name"],),
            )  # fmt: skip
        if not found:
            st.caption("No view is saved yet.")
        st.text_input("Save this view as", max_chars=80, key="view_name")
        who.name_field("Who saves it", "view_by")
        st.button("Save", key="view_save", on_click=_save, type="primary")
        st.caption("Its link is the address in the browser's bar.")


def _save() -> None:
    query = urlencode(state.shown().address)
    name, by = st.session_state["view_name"], who.given("view_by")
    try:
        owner().save_view(PAGE, name, query, by, saving_id=uuid.uuid4().hex)
    except (JobError, StoreError) as error:
        st.session_state[ERROR] = error
        return
    st.session_state["view_name"] = ""
    st.toast(f"Saved the view {literal(name)}")


def _remove(name: str) -> None:
    by = who.person() or "dashboard"
    try:
        owner().remove_view(PAGE, name, by, saving_id=uuid.uuid4().hex)
    except (JobError, StoreError) as error:
        st.session_state[ERROR] = error
