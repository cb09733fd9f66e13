"""Charts: each has a title, units on its axes, and a line that says how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import altair as alt
import pandas as pd
import streamlit as st

Rows = Sequence[Mapping[str, Any]]

# Okabe & Ito's palette, its blue a little lighter for dark pages; grey is for what does not count.
VERDICT_COLOURS = {
    "candidate": "#D55E00",
    "near_miss": "#E69F00",
    "uncertain": "#CC79A7",
    "normal": "#1B7FC4",
    "artefact": "#8A94A0",
}
PALETTE = ["#1B7FC4", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
BLUE, ORANGE, GREY = "#1B7FC4", "#D55E00", "#8A94A0"
# Cividis from a fifth on, so that the lowest step is seen on a dark page and the highest on white.
CIVIDIS = ["#2A406C", "#48526B", "#727374", "#A59C74", "#C3B369", "#E1CC55"]
HEIGHT = 320
TIME_UNITS = {"hour": "utcyearmonthdatehours", "day": "utcyearmonthdate", "month": "utcyearmonth"}


def verdict_scale() -> Any:
    """The scale that gives every verdict its colour, wherever it is drawn."""
    return alt.Scale(domain=list(VERDICT_COLOURS), range=list(VERDICT_COLOURS.values()))


def verdict_legend(orient: Any, **more: Any) -> Any:
    """The legend of that scale, in words."""
    words = "replace(datum.label, '_', ' ')"
    return alt.Legend(orient=orient, title=None, labelExpr=words, **more)


def show(chart: Any, reading: str, width: Literal["stretch", "content"] = "stretch") -> None:
    """Show a chart with its one-line reading below it."""
    st.altair_chart(chart, width=width, alt=reading)
    st.caption(reading)


def quality_against_rate(rows: Rows, measure: str, axis: str) -> Any:
    """Chart a quality measure of codec runs over bits per pixel, one point a frame."""
    return (
        alt.Chart(_frame(rows, "bpp", measure, "source", "object_id", "compression_ratio"))
        .mark_point(size=70, filled=True, opacity=0.85)
        .encode(
            x=alt.X("bpp:Q", title="rate (bits per pixel)", scale=alt.Scale(zero=False)),
            y=alt.Y(f"{measure}:Q", title=axis, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "source:N",
                title=None,
                scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(orient="top"),
            ),
            shape=alt.Shape("source:N", title=None),
            tooltip=["object_id", "bpp", measure, "compression_ratio"],
        )
        .properties(title=f"{axis} against rate", height=HEIGHT)
    )


def tile_errors(rows: Rows, unit: str) -> Any:
    """Chart what the codec expected of each tile against what came, both root mean squares."""
    tiles = _frame(rows, "rmse", "predicted_rmse", "dropout_std", "tile_row", "tile_column")
    long = tiles.melt(
        id_vars=["rmse", "tile_row", "tile_column"],
        value_vars=["predicted_rmse", "dropout_std"],
        var_name="map",
        value_name="expected",
    ).replace({"predicted_rmse": "closed form", "dropout_std": "dropout"})
    return (
        alt.Chart(long)
        .mark_point(size=60, filled=True, opacity=0.85)
        .encode(
            x=alt.X("rmse:Q", title=f"true error ({unit})"),
            y=alt.Y("expected:Q", title=f"expected error ({unit})"),
            color=alt.Color(
                "map:N",
                title=None,
                scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(orient="top"),
            ),
            shape=alt.Shape("map:N", title=None),
            tooltip=["map", "tile_row", "tile_column", "rmse", "expected"],
        )
        .properties(title="Expected against true error, by tile", height=HEIGHT)
    )


def verdicts(rows: Rows) -> Any:
    """Chart how many detections got each verdict."""
    return (
        alt.Chart(_frame(rows, "verdict", "n"))
        .mark_bar()
        .encode(
            x=alt.X("n:Q", title="detections"),
            y=alt.Y(
                "verdict:N",
                title=None,
                sort="-x",
                axis=alt.Axis(labelOverlap=False, labelExpr="replace(datum.label, '_', ' ')"),
            ),
            color=alt.Color("verdict:N", scale=verdict_scale(), legend=None),
            tooltip=["verdict", "n"],
        )
        .properties(title="Detections by the machine's verdict", height=260)
    )


def p_values(rows: Rows) -> Any:
    """Chart the p-values of the detections with the level they would have if all were normal."""
    bins = _frame(rows, "low", "high", "n")
    level = pd.DataFrame({"n": [bins["n"].sum() / max(len(bins), 1)]})
    bars = (
        alt.Chart(bins)
        .mark_bar(color=BLUE, opacity=0.8)
        .encode(
            x=alt.X("low:Q", title="p-value", scale=alt.Scale(domain=[0, 1])),
            x2="high:Q",
            y=alt.Y("n:Q", title="detections"),
            y2=alt.datum(0),
            tooltip=["low", "high", "n"],
        )
    )
    uniform = alt.Chart(level).mark_rule(color=ORANGE, strokeDash=[5, 3], size=2).encode(y="n:Q")
    return (bars + uniform).properties(title="p-values of the detections", height=260)


def cycle_outcomes(rows: Rows) -> Any:
    """Chart what became of the items that each cycle asked for."""
    outcomes = ["known", "stored", "duplicates", "failed", "ignored"]
    cycles = _frame(rows, "started_at", "source", *outcomes)
    long = cycles.melt(
        id_vars=["started_at", "source"], value_vars=outcomes, var_name="outcome", value_name="n"
    )
    shades = ["#56B4E9", "#1B7FC4", "#8A94A0", "#D55E00", "#CC79A7"]
    return (
        alt.Chart(long)
        .mark_bar(size=14)
        .encode(
            x=alt.X(
                "started_at:T",
                title="cycle started (UTC)",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%d %b %H:%M", tickCount=6, labelOverlap=True),
            ),
            y=alt.Y("n:Q", title="items"),
            color=alt.Color(
                "outcome:N", title=None, scale=alt.Scale(domain=outcomes, range=shades)
            ),
            tooltip=["source", "outcome", "n", "started_at:T"],
        )
        .properties(title="What became of what each cycle asked for", height=260)
    )


def time_line(found: Rows, cycles: Rows) -> Any:
    """Chart when detections were found, by verdict, with a mark below for each cycle."""
    step = found[0]["step"] if found else "hour"
    bars = (
        alt.Chart(_frame(found, "found_at", "verdict", "n"))
        .mark_bar(opacity=0.9)
        .encode(
            x=alt.X(
                "found_at:T",
                timeUnit=cast(Any, TIME_UNITS[step]),
                title=f"found (UTC), by the {step}",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(
                    format="%d %b %H:%M" if step == "hour" else "%d %b %Y",
                    tickCount=6, labelOverlap=True,
                ),
            ),
            y=alt.Y("n:Q", title="detections"),
            color=alt.Color("verdict:N", scale=verdict_scale(), legend=verdict_legend("right")),
            tooltip=["verdict", "n", alt.Tooltip("found_at:T", format="%Y-%m-%d %H:%M")],
        )
    )  # fmt: skip
    marks = (
        alt.Chart(_frame(cycles, "started_at", "source", "state", "stored"))
        .mark_point(shape="triangle-up", size=60, filled=True, yOffset=5)
        .encode(
            x=alt.X("started_at:T", scale=alt.Scale(type="utc")),
            y=alt.datum(0),
            color=alt.condition("datum.state == 'failed'", alt.value(ORANGE), alt.value(GREY)),
            tooltip=["source", "state", "stored",
                     alt.Tooltip("started_at:T", format="%Y-%m-%d %H:%M")],
        )
    )  # fmt: skip
    return (bars + marks).properties(title="When detections were found", height=300)


def over_time(
    rows: Rows, measure: str, axis: str, line: str, when: str, level: float | None = None
) -> Any:
    """Chart a measure over time, one line for each value of `line`, with a dashed level."""
    chart = (
        alt.Chart(_frame(rows, when, measure, line))
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=55))
        .encode(
            x=alt.X(
                f"{when}:T",
                title="measured (UTC)",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%d %b %H:%M", tickCount=6, labelOverlap=True),
            ),
            y=alt.Y(f"{measure}:Q", title=axis),
            color=alt.Color(
                f"{line}:N",
                title=None,
                scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(orient="top", labelLimit=300, columns=3),
            ),
            tooltip=[f"{line}:N", alt.Tooltip(f"{measure}:Q", format=".4g"),
                     alt.Tooltip(f"{when}:T", format="%Y-%m-%d %H:%M")],
        )
    )  # fmt: skip
    if level is not None:
        rule = alt.Chart(pd.DataFrame({measure: [level]})).mark_rule(
            color=GREY, strokeDash=[5, 3], size=1.5
        )
        chart = chart + rule.encode(y=f"{measure}:Q")
    return chart.properties(title=f"{axis[:1].upper()}{axis[1:]} over time", height=300)


def _frame(rows: Rows, *columns: str) -> pd.DataFrame:
    return pd.DataFrame([{name: row[name] for name in columns} for row in rows], columns=columns)
