"""One model in full: what it was fitted on, what was measured of it, how it fared since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.access import ask
from dashboard.figures import age, count, literal, number
from dashboard.states import nothing
from dashboard.tables import measured, moment, table
from db.queries import models

Row = dict[str, Any]
MOST_FIGURES = 200
FIGURES = {"ece": "expected calibration error", "brier": "Brier score", "nll": "NLL (nats)",
           "aurc": "AURC"}  # fmt: skip


def trained_at(row: Mapping[str, Any]) -> datetime | None:
    """When a model was trained, as its card says; None where it does not."""
    try:
        told = datetime.fromisoformat(str(json.loads(row["card"] or "{}").get("trained_at", "")))
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def show_model(row: Row) -> None:
    """Lay one model out."""
    card: Row = json.loads(row["card"] or "{}")
    st.subheader(literal(row["name"]))
    st.markdown(literal(card.get("description") or "Its card does not describe it."))
    left, right = st.columns(2, gap="large")
    with left:
        _fitted_on(row, card)
    with right:
        _figures(card)
    _over_time(row)
    _work(row)


def _fitted_on(row: Row, card: Row) -> None:
    st.markdown("**What it was fitted on**")
    facts = {
        "data": card.get("data"),
        "rows fitted": _rows(row["fitted_on"]),
        "rows calibrated": _rows(row["calibrated_on"]),
        "for the source": row["source"] and f"{row['source']}, version {row['version']}",
        "trained": _when(trained_at(row)),
        "registered here": _when(row["registered_at"]),
        "seed": card.get("seed"),
        "command": card.get("command"),
        "device": card.get("device"),
        "limits": card.get("limits"),
        "digest": f"{row['model_digest'][:16]}…, whole in the card below",
    }
    told = [{"fact": name, "value": str(value)} for name, value in facts.items()
            if value not in (None, "")]  # fmt: skip
    st.table(pd.DataFrame(told).set_index("fact"), border="horizontal")
    with st.expander("The whole card"):
        st.json(card, expanded=1)


def _figures(card: Row) -> None:
    st.markdown("**Measured when it was made**")
    figures = list(flat(card.get("metrics") or {}))
    if not figures:
        nothing("Its card holds no measurement.")
        return
    table(
        figures[:MOST_FIGURES],
        {"figure": "figure", "value": measured("value", ".4g")},
        key="card_figures",
        alt="Every figure of the model's card",
    )
    st.caption("From the card, measured on data that the model was not fitted on.")


def flat(figures: Mapping[str, Any], before: str = "") -> Iterator[Row]:
    """Every number in a nested mapping, with its path as name."""
    for name, value in figures.items():
        path = f"{before} › {name}" if before else str(name)
        if isinstance(value, Mapping):
            yield from flat(value, path)
        elif isinstance(value, int | float):
            yield {"figure": path, "value": float(value)}


def _over_time(row: Row) -> None:
    st.markdown("**How it fared over time**")
    reports = ask(models.reports, row["model_digest"])
    drift = ask(models.drift, row["model_digest"])
    if not reports and not drift:
        nothing("Nothing was measured of it since it was made: no calibration or drift report.")
        return
    if reports:
        name = st.segmented_control(
            "Figure", list(FIGURES), default="ece", format_func=FIGURES.__getitem__,
            key="model_figure", required=True,
        )  # fmt: skip
        figure = name or "ece"
        charts.show(
            charts.over_time(reports, figure, FIGURES[figure], "line", "measured_at"),
            "One line a data set, lower is better; each point is one measurement on held-out data.",
        )
    if drift:
        charts.show(
            charts.over_time(drift, "median_percentile", "median percentile",
                             "source", "measured_at", level=50.0),
            "Of a source's newest scores: normals lie evenly about the dashed 50; far from it the "
            "calibration has expired.",
        )  # fmt: skip


def _work(row: Row) -> None:
    made = ask(models.work, row["model_digest"])
    if not made:
        nothing("It made no run yet.")
        return
    newest = age(row["newest_run_at"])
    st.markdown(
        f"**What it made**: {count(row['all_runs'])} runs, {count(row['current_runs'])} of them "
        f"current, the newest {newest}; median {number(made[-1]['median_s'], 's')} a frame."
    )
    long = [
        {"day": day["day"], "outcome": word, "n": day[key]}
        for day in made
        for key, word in (("ok", "ok"), ("not_applicable", "not applicable"), ("failed", "failed"))
    ]
    chart = (
        alt.Chart(pd.DataFrame(long))
        .mark_bar(size=14)
        .encode(
            x=alt.X("day:T", title="day (UTC)", scale=alt.Scale(type="utc"),
                    axis=alt.Axis(format="%d %b", tickCount=6)),
            y=alt.Y("n:Q", title="runs"),
            color=alt.Color("outcome:N", title=None, scale=alt.Scale(
                domain=["ok", "not applicable", "failed"],
                range=[charts.BLUE, charts.GREY, charts.ORANGE])),
            tooltip=["day:T", "outcome", "n"],
        )
        .properties(title="Runs a day", height=180)
    )  # fmt: skip
    charts.show(chart, "One bar a day, by how the runs ended.")


def _rows(n: int | None) -> str | None:
    return None if n is None else count(n)


def _when(moment_: datetime | None) -> str | None:
    return None if moment_ is None else f"{moment_:%Y-%m-%d %H:%M} UTC ({age(moment_)})"


def choices_table(rows: list[Row]) -> None:
    """Who chose which model when."""
    table(
        [row | {"action": row["action"].replace("_", " ")} for row in rows],
        {
            "chosen_at": moment("when"),
            "action": "what",
            "model": "model",
            "chosen_by": "by",
            "reason": "because",
        },
        key="choices",
        alt="Every promotion and roll-back with who did it and why",
    )
