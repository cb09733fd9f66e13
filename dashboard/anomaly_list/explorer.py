"""The list with its facets, faces, orders, views and files: one fragment, so that it runs alone."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.access import ask
from dashboard.anomaly_list import state, words
from dashboard.anomaly_list.bulk import bulk
from dashboard.anomaly_list.facets import chips, facets
from dashboard.anomaly_list.files import files
from dashboard.anomaly_list.gallery import opened
from dashboard.anomaly_list.groups import groups
from dashboard.anomaly_list.histograms import histograms
from dashboard.anomaly_list.listing import how_many, show_list
from dashboard.anomaly_list.plane import plane
from dashboard.anomaly_list.views import views
from dashboard.evidence import flare_table, show_nights
from dashboard.states import failure, nothing
from db.errors import StoreError
from db.queries import anomalies, evidence
from jobs.errors import JobError


@st.fragment
def explorer() -> None:
    """Lay the list out; what is opened is shown by the page itself."""
    if name := opened():
        st.query_params["detection"] = name
        st.rerun()
    try:
        _lay_out()
    except (StoreError, JobError) as error:
        failure(error)
    state.publish()


def _lay_out() -> None:
    beside, main = st.columns([1, 3.4], gap="medium")
    with beside:
        facets()
    with main:
        _tools()
        chips()
        _face()


def _tools() -> None:
    now = state.shown()
    chosen = st.segmented_control(
        "Seen as", list(words.FACES), format_func=words.FACES.__getitem__, default=now.face,
        required=True, key=f"face_{state.revision()}", label_visibility="collapsed",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(how_many(), width="stretch")
        order = st.selectbox(
            "Order", list(words.SORTS), format_func=words.SORTS.__getitem__,
            index=list(words.SORTS).index(now.sort), key=f"sort_{state.revision()}",
            label_visibility="collapsed", width=220,
        )  # fmt: skip
        if (chosen, order) != (now.face, now.sort):
            state.show(replace(now, face=chosen or now.face, sort=order), widgets=False)
        bulk(ask(anomalies.count_of, state.shown().wanted))
        views()
        files()


def _face() -> None:
    face = state.shown().face
    if face == "nights":
        show_nights()
        return
    if face == "flares":
        _flares()
        return
    if face == "map":
        plane()
    elif face == "scores":
        histograms()
    elif face == "clusters":
        groups()
    show_list(as_table=face == "table")


def _flares() -> None:
    rows = ask(evidence.transients)
    if not rows:
        nothing("No target-pixel series was read yet, or nothing in them flared up.")
        return
    st.caption("Groups of pixels that brightened beyond their noise for a few cadences.")
    flare_table(rows, key="all_transients")
