"""Histograms of scores that filter each other and the list: drag over one to bound its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from dashboard.access import ask
from dashboard.anomaly_list import state, words
from dashboard.charts import BLUE, GREY
from db.queries import anomalies
from db.queries.wanted import MEASURES, METHOD

BINS = 24
LOGARITHMIC = ("p_value", "conditioned_p_value", "snr")
FIRST = ("p_value", "snr", "cosmic_ray_share")
Row = dict[str, Any]


def histograms() -> None:
    """Lay the histograms out, three in a row."""
    methods = [f"{METHOD}{name}" for name in ask(anomalies.methods)]
    chosen = st.multiselect(
        "Histograms", [*MEASURES, *methods], default=[*FIRST, *methods[:3]],
        format_func=words.measure, key="histograms", label_visibility="collapsed",
        max_selections=9,
    )  # fmt: skip
    moved = False
    for start in range(0, len(chosen), 3):
        for place, measure in zip(st.columns(3), chosen[start : start + 3], strict=False):
            with place:
                moved |= _one(measure)
    st.caption(
        "Drag over a histogram to bound its number: the others and the list below follow. Grey: "
        "all detections; blue: those that the other filters keep."
    )
    if moved:
        st.rerun(scope="fragment")


def _one(measure: str) -> bool:
    edges = edges_of(measure)
    if edges is None:
        st.caption(f"{words.measure(measure)}: no detection has one.")
        return False
    wanted = state.shown().wanted
    others = replace(wanted, ranges=tuple(r for r in wanted.ranges if r.measure != measure))
    everything = ask(anomalies.histogram, measure, edges)
    kept = ask(anomalies.histogram, measure, edges, others)
    key = f"histogram_{measure}_{state.revision()}"
    event = st.altair_chart(
        _chart(measure, key, everything, kept), width="stretch", on_select="rerun",
        selection_mode=["span"], key=key,
        alt=f"How many detections have which {words.measure(measure)}",
    )  # fmt: skip
    return _take(measure, event.selection.get("span") if event else None)


def edges_of(measure: str) -> tuple[float, ...] | None:
    """The edges of bins over what current detections have of a measure, None for nothing."""
    span = ask(anomalies.extent, measure)
    if span is None:
        return None
    low, high = span
    if measure in LOGARITHMIC and high > 0:
        least = max(low, high * 1e-5)
        inner = np.geomspace(least, max(high, least * 1.001), BINS + 1)
        return (min(low, inner[0]), *inner[1:-1].tolist(), max(high, inner[-1]))
    if measure.startswith(METHOD):
        low, high = 0.0, 100.0
    elif measure not in ("missed_by_decades",) and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return tuple(np.linspace(low, high if high > low else low + 1.0, BINS + 1).tolist())


def _chart(measure: str, key: str, everything: Sequence[Row], kept: Sequence[Row]) -> Any:
    logarithmic = measure in LOGARITHMIC and everything[0]["low"] > 0
    scale = alt.Scale(type="log", nice=False) if logarithmic else alt.Scale(nice=False, zero=False)
    before = next((r for r in state.shown().wanted.ranges if r.measure == measure), None)
    low, high = everything[0]["low"], everything[-1]["high"]
    start = None
    if before is not None:
        start = {"x": [low if before.low is None else before.low,
                       high if before.high is None else before.high]}  # fmt: skip
    # What the chart begins with stays as it is while people drag, or it would begin anew.
    start = st.session_state.setdefault(f"start_{key}", start)
    more = {"value": start} if start else {}
    brush = alt.selection_interval(name="span", encodings=["x"], **more)
    digits = "d" if measure.startswith(METHOD) else "~g"
    x = alt.X("low:Q", title=words.measure(measure), scale=scale,
              axis=alt.Axis(format=digits, tickCount=4))  # fmt: skip
    bars = {
        "x2": "high:Q",
        "y": alt.Y("n:Q", title=None, axis=alt.Axis(tickCount=3, format="~s")),
        "y2": alt.datum(0),
    }
    tooltip = [alt.Tooltip("low", format=".3g"), alt.Tooltip("high", format=".3g"), "n"]
    behind = alt.Chart(pd.DataFrame(everything)).mark_bar(color=GREY, opacity=0.35)
    front = alt.Chart(pd.DataFrame(kept)).mark_bar(color=BLUE, opacity=0.9)
    return alt.layer(
        behind.encode(x=x, tooltip=tooltip, **bars).add_params(brush),
        front.encode(x=x, **bars),
    ).properties(height=130)


def _take(measure: str, chosen: Any) -> bool:
    """Let the list follow a span; True where it changed. No span leaves what a link bounds."""
    ends = next(iter(chosen.values())) if chosen else None
    span = (float(min(ends)), float(max(ends))) if ends else None
    key = f"span_{measure}"
    before = st.session_state.get(key)
    if span == before:
        return False
    st.session_state[key] = span
    now = state.shown()
    low, high = span or (None, None)
    wanted = state.with_range(now.wanted, measure, low, high)
    if wanted == now.wanted:
        return False
    state.show(replace(now, wanted=wanted), widgets=False)
    return True
