"""The map: search vectors on a plane, where a rectangle chooses what the list shows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import who
from dashboard.access import ask, owner
from dashboard.anomaly_list import state, words
from dashboard.charts import PALETTE, VERDICT_COLOURS
from dashboard.figures import age, count
from dashboard.progress import follow
from dashboard.states import failure
from db.errors import StoreError
from db.queries import clusters
from db.queries.wanted import Box
from jobs.errors import JobError

METHODS = {"pca": "PCA", "tsne": "t-SNE"}
COLOURS = {"verdict": "verdict", "class_name": "class", "cluster": "cluster", "source": "source"}
MOST_DRAWN = 4000
MOST_COLOURS = 9
Row = dict[str, Any]


def plane() -> None:
    """Lay the map out, with what makes a new one."""
    held = ask(clusters.maps)
    by_method = {row["method"]: row for row in reversed(held)}
    methods = [method for method in METHODS if method in by_method]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = (
            st.segmented_control(
                "Map", methods, format_func=METHODS.__getitem__, default=methods[0], required=True,
                key="map_method",
            )
            if methods
            else None
        )  # fmt: skip
        colour = st.segmented_control(
            "Colour by", list(COLOURS), format_func=COLOURS.__getitem__, default="verdict",
            required=True, key="map_colour",
        )  # fmt: skip
        for each, word in METHODS.items():
            st.button(
                f"Make a {word} map", key=f"map_{each}", on_click=_ask, args=(each,),
                icon=":material/refresh:" if each in by_method else ":material/add:",
            )  # fmt: skip
    if request_id := st.session_state.get("map_request"):
        follow(request_id)
    if method is None:
        st.info(
            "No map was made yet. It lays the search vectors of all detections out on a plane: "
            "PCA takes a moment, t-SNE of 20,000 detections some minutes in a worker."
        )
        return
    _drawn(by_method[method], colour or "verdict")


def _drawn(held: Row, colour: str) -> None:
    rows = ask(clusters.map_points, held["map_id"], MOST_DRAWN)
    key = f"plane_{colour}_{state.revision()}"
    event = st.altair_chart(
        _chart(held, rows, colour, key), width="stretch", on_select="rerun", key=key,
        selection_mode=["box"], alt="Search vectors of the detections on a plane",
    )  # fmt: skip
    _take(held, event.selection.get("box") if event else None)
    words_of = [
        f"{METHODS[held['method']]} of {count(held['detections'])} search vectors "
        f"({held['embedder']}), {age(held['made_at'])}"
    ]
    if held["explained"] is not None:
        words_of.append(f"its two axes keep {held['explained']:.0%} of their variance")
    if held["method"] == "tsne":
        words_of.append("near points are alike, distances between far groups mean nothing")
    if held["left_out"]:
        words_of.append(f"{count(held['left_out'])} of the least anomalous were left out")
    if len(rows) == MOST_DRAWN:
        words_of.append(f"{count(MOST_DRAWN)} points are drawn, the rectangle takes all")
    st.caption("Drag a rectangle to choose what is listed below. " + "; ".join(words_of) + ".")


def _chart(held: Row, rows: list[Row], colour: str, key: str) -> Any:
    points = pd.DataFrame(
        [
            {
                "x": row["x"], "y": row["y"], "colour": _worded(row, colour),
                "object": row["object_id"], "p_value": row["p_value"],
                "verdict": words.verdict(row["verdict"]),
            }
            for row in rows
        ],
        columns=["x", "y", "colour", "object", "p_value", "verdict"],
    )  # fmt: skip
    common = points["colour"].value_counts().index[:MOST_COLOURS]
    points.loc[~points["colour"].isin(common), "colour"] = "others"
    box = state.shown().wanted.box
    # What the chart begins with stays as it is while people drag, or it would begin anew.
    start = {"x": list(box.x), "y": list(box.y)} if box and box.map_id == held["map_id"] else None
    start = st.session_state.setdefault(f"start_{key}", start)
    brush = alt.selection_interval(name="box", **({"value": start} if start else {}))
    axis = alt.Axis(labels=False, ticks=False, title=None)
    return (
        alt.Chart(points)
        .mark_point(size=34, filled=True)
        .encode(
            x=alt.X("x:Q", axis=axis, scale=alt.Scale(zero=False, padding=12)),
            y=alt.Y("y:Q", axis=axis, scale=alt.Scale(zero=False, padding=12)),
            color=alt.Color("colour:N", title=None, scale=_scale(colour),
                            legend=alt.Legend(orient="top", columns=5)),
            opacity=alt.condition(brush, alt.value(0.85), alt.value(0.18)),
            tooltip=["object", "verdict", alt.Tooltip("p_value", format=".3g"), "colour"],
        )
        .add_params(brush)
        .properties(height=440)
    )  # fmt: skip


def _scale(colour: str) -> Any:
    if colour != "verdict":
        return alt.Scale(range=[*PALETTE, *("#0072B2", "#F0E442", "#8A94A0", "#B39DDB")])
    return alt.Scale(
        domain=[words.verdict(name) for name in VERDICT_COLOURS],
        range=list(VERDICT_COLOURS.values()),
    )


def _worded(row: Row, colour: str) -> str:
    value = row[colour]
    if value is None:
        return "none"
    return words.verdict(value) if colour == "verdict" else str(value)


def _take(held: Row, chosen: Any) -> None:
    """Let the list follow the rectangle; drawing nothing leaves what a link asked for."""
    if chosen and "x" in chosen and "y" in chosen:
        box = Box(held["map_id"], _ends(chosen["x"]), _ends(chosen["y"]))
    else:
        box = None
    before = st.session_state.get("map_box")
    if box == before:
        return
    st.session_state["map_box"] = box
    now = state.shown()
    if box != now.wanted.box:
        state.show(replace(now, wanted=replace(now.wanted, box=box)), widgets=False)
        st.rerun(scope="fragment")


def _ends(side: Sequence[float]) -> tuple[float, float]:
    return (float(min(side)), float(max(side)))


def _ask(method: str) -> None:
    request_id = uuid.uuid4().hex
    try:
        owner().enqueue("map", {"method": method, "seed": 0}, request_id=request_id,
                        asked_by=who.person() or "dashboard")  # fmt: skip
    except (JobError, StoreError) as error:
        failure(error)
        return
    st.session_state["map_request"] = request_id
