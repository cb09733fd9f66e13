"""Clusters: groups of anomalies that people name."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from dashboard import pictures, who
from dashboard.access import ask, owner
from dashboard.anomaly_list import state
from dashboard.figures import age, count, counted, literal
from dashboard.progress import follow
from dashboard.states import failure
from db.errors import StoreError
from db.queries import clusters
from jobs.errors import JobError

Row = dict[str, Any]
MOST_SHOWN = 24


def groups() -> None:
    """Lay the clusters out: an example of each, its size, its name, and what makes them anew."""
    found, made = ask(clusters.clusters), ask(clusters.clusterings)
    left, right = st.columns([4, 1], vertical_alignment="center")
    if made:
        newest = made[0]
        left.caption(
            f"{count(newest['grouped'])} of {count(newest['detections'])} detections "
            f"({newest['verdicts'].replace('_', ' ').replace(',', ', ')}) lie in "
            f"{count(newest['clusters'])} groups whose mean cosine is at least "
            f"{newest['close']:g}; {age(newest['made_at'])}. What later scans bring joins the "
            "nearest group; a name goes on with the group that keeps most of its members."
        )
    else:
        left.info("Nothing was grouped yet. Grouping takes the current anomalies by likeness.")
    right.button("Group anew" if made else "Group", key="cluster", on_click=_group,
                 icon=":material/hub:", type="secondary" if made else "primary")  # fmt: skip
    if request_id := st.session_state.get("cluster_request"):
        follow(request_id)
    if "cluster_error" in st.session_state:
        failure(st.session_state.pop("cluster_error"))
    if found:
        _cards(found[:MOST_SHOWN])
    if len(found) > MOST_SHOWN:
        st.caption(f"The {MOST_SHOWN} largest of {count(len(found))} groups.")


def _cards(found: list[Row]) -> None:
    cells = st.grid(6, min_column_width=130)
    chosen = state.shown().wanted.clusters
    for row in found:
        with cells.cell():
            name = row["name"] or f"cluster {row['number'] + 1}"
            if row["cutout_file"]:
                pictures.show_cutout(row["cutout_file"], literal(name), f"example of {name}")
            here = row["cluster_key"] in chosen
            st.button(
                f"{counted(row['size'], 'member')}, {counted(row['candidates'], 'candidate')}",
                key=f"show_{row['cluster_key']}",
                type="primary" if here else "secondary",
                help="List its detections",
                on_click=state.narrow,
                kwargs={"clusters": () if here else (row["cluster_key"],)},
                width="stretch",
            )
            with st.popover("Rename" if row["name"] else "Name", type="tertiary"):
                _naming(row)


def _naming(row: Row) -> None:
    key = row["cluster_key"]
    if row["name"]:
        st.caption(f"Named by {literal(row['named_by'])}, {age(row['named_at'])}")
    st.text_input("Name", value=row["name"] or "", max_chars=80, key=f"name_{key}")
    who.name_field("Who names it", f"by_{key}")
    st.button("Keep the name", key=f"keep_{key}", on_click=_name, args=(key,), type="primary")


def _name(key: str) -> None:
    name, by = st.session_state[f"name_{key}"], who.given(f"by_{key}")
    try:
        owner().name_cluster(key, name, by, naming_id=uuid.uuid4().hex)
    except (JobError, StoreError) as error:
        st.session_state["cluster_error"] = error
        return
    who.remember(by)


def _group() -> None:
    request_id = uuid.uuid4().hex
    try:
        owner().enqueue("cluster", {}, request_id=request_id,
                        asked_by=who.person() or "dashboard")  # fmt: skip
    except (JobError, StoreError) as error:
        st.session_state["cluster_error"] = error
        return
    st.session_state["cluster_request"] = request_id
