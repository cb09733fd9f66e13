"""Downlink: which tiles a pass carries, and what has arrived after any byte."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts, passes
from dashboard.access import ask, owner
from dashboard.figures import count, name_of, number, size
from dashboard.states import empty
from dashboard.tables import measured, table
from db.queries import compression

MOST_ROWS = 200
LIGHT_TIMES = {"Moon (1.3 s)": 1.3, "Mars, near (182 s)": 182.0, "Mars, far (1342 s)": 1342.0}


def show() -> None:
    """Lay the page out."""
    st.title("Downlink")
    owner()
    tiles = ask(compression.tiles_to_send)
    if not tiles:
        empty("compressed frames")
        return
    totals = {order: passes.arrivals(tiles, order) for order in passes.ORDERS}
    budget = _budget(totals["priority"][-1].bytes)
    _arrived(totals, budget)
    _curves(totals, budget)
    _left(tiles, budget)


def _budget(everything: int) -> int:
    """The slider, and how long the link takes for what it says."""
    left, middle, right = st.columns([3, 1, 1])
    with left:
        share = st.slider(
            "Budget (% of all bytes)", 1, 100, 25, key="budget", help="Whole tiles only."
        )
    with middle:
        rate = st.number_input("Link (Mbit/s)", 0.001, 1000.0, 2.0, key="rate")
    with right:
        light = st.selectbox("Light time", list(LIGHT_TIMES), index=1, key="light")
    budget = everything * share // 100
    seconds = 8 * budget / (rate * 1e6) + LIGHT_TIMES[light or next(iter(LIGHT_TIMES))]
    st.caption(
        f"{size(budget)} of {size(everything)}; the last byte arrives {seconds:,.1f} s after the "
        "pass begins."
    )
    return budget


def _arrived(totals: dict[str, list[passes.Arrival]], budget: int) -> None:
    now = {order: passes.within(rows, budget) for order, rows in totals.items()}
    whole = totals["priority"][-1]
    cards = st.grid(5)
    first, raster = now["priority"], now["raster"]
    for label, value, beside in (
        ("Tiles arrived", f"{count(first.tiles)} of {count(whole.tiles)}", count(raster.tiles)),
        ("Frames begun", f"{count(first.frames)} of {count(whole.frames)}", count(raster.frames)),
        (
            "Value arrived",
            f"{100 * first.value / max(whole.value, 1e-30):.0f} %",
            f"{100 * raster.value / max(whole.value, 1e-30):.0f} %",
        ),
        (
            "Anomalies kept",
            f"{count(first.anomalies)} of {count(whole.anomalies)}",
            count(raster.anomalies),
        ),
        ("Mean PSNR", number(first.psnr_db, "dB"), number(raster.psnr_db, "dB")),
    ):
        cards.metric(
            label,
            value,
            delta=f"{beside} in raster order",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
        )
    st.caption(
        "A tile's value is its pixels times the largest 1 / p of the anomaly p-values in it, at "
        "least 1; an anomaly is a detection with p at or below 0.05."
    )


def _curves(totals: dict[str, list[passes.Arrival]], budget: int) -> None:
    rows = pd.DataFrame([row for found in totals.values() for row in passes.curve(found)])
    share = budget / max(totals["priority"][-1].bytes, 1)
    left, right = st.columns(2)
    with left:
        charts.show(
            _curve(rows, "value_share", "value arrived (share)", share),
            "The higher the line at a budget, the more of what matters has arrived.",
        )
    with right:
        if rows["anomaly_share"].notna().any():
            charts.show(
                _curve(rows, "anomaly_share", "anomalies kept (share)", share),
                "Share of the anomalies found on board whose tiles have arrived.",
            )
        else:
            st.info("No detection of these frames has p at or below 0.05.")
    if rows["psnr_db"].notna().all():
        charts.show(
            _curve(rows, "psnr_db", "mean PSNR (dB)", share),
            "Mean over all frames, against each frame's peak; a tile that is missing shows its "
            "frame's median.",
        )
    else:
        st.info("Runs of earlier versions kept too little to draw quality against bytes.")


def _curve(rows: pd.DataFrame, column: str, title: str, share: float) -> Any:
    lines = (
        alt.Chart(rows)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("bytes_share:Q", title="bytes (share)"),
            y=alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=column != "psnr_db")),
            color=alt.Color(
                "order:N",
                title=None,
                scale=alt.Scale(range=charts.PALETTE),
                legend=alt.Legend(orient="top"),
            ),
            strokeDash=alt.StrokeDash("order:N", title=None),
        )
    )
    mark = alt.Chart(pd.DataFrame({"budget": [share]})).mark_rule(color=charts.GREY)
    rule = mark.encode(x="budget:Q")
    return (lines + rule).properties(title=f"{title} against bytes", height=charts.HEIGHT)


def _left(tiles: list[dict[str, Any]], budget: int) -> None:
    """What to ask for in the next pass."""
    ordered, spent, behind = passes.in_order(tiles, "priority"), 0, []
    for tile in ordered:
        spent += tile["bytes"]
        if spent > budget:
            behind.append({**tile, "object": name_of(tile)})
    st.subheader("To request next")
    if not behind:
        st.success("The budget carries everything.")
        return
    st.caption(f"{number(len(behind))} tiles stay behind; the most valuable first.")
    table(
        behind[:MOST_ROWS],
        {
            "object": "object",
            "tile_row": "tile row",
            "tile_column": "tile column",
            "value": measured("value", ".1f", "largest 1 / p in the tile, at least 1"),
            "anomalies": "anomalies",
            "bytes": "bytes",
            "rmse": measured("true error", ".4g", "root mean square, pixel units"),
        },
        key="left_behind",
        alt="Tiles that the pass does not carry",
    )


show()
