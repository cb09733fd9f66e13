"""Charts of calibration: reliability with its counts, risk-coverage, and metrics over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts import BLUE, GREY, HEIGHT, ORANGE, PALETTE

Rows = Sequence[Mapping[str, Any]]
SHIPPED, UNTEMPERED = "as shipped", "without the temperature"


def _stages(*, of: Mapping[str, Rows]) -> dict[str, Any]:
    """Colour and dash by stage; a legend only where there are two to tell apart."""
    names = [SHIPPED, UNTEMPERED]
    return {
        "color": alt.Color(
            "stage:N",
            title=None,
            legend=alt.Legend(orient="top") if len(of) > 1 else None,
            scale=alt.Scale(domain=names, range=[BLUE, ORANGE]),
        ),
        "strokeDash": alt.StrokeDash(
            "stage:N", title=None, legend=None,
            scale=alt.Scale(domain=names, range=[[1, 0], [5, 3]]),
        ),
    }  # fmt: skip


def reliability(by_stage: Mapping[str, Rows]) -> Any:
    """Chart observed frequency over stated probability by stage; the dashed diagonal is perfect."""
    bins = _joined(by_stage, "low", "high", "n", "mean_probability", "observed_frequency")
    perfect = (
        alt.Chart(pd.DataFrame({"p": [0.0, 1.0]}))
        .mark_line(strokeDash=[4, 4], color=GREY)
        .encode(x="p:Q", y="p:Q")
    )
    measured = (
        alt.Chart(bins.dropna(subset=["mean_probability"]))
        .mark_line(point=alt.OverlayMarkDef(size=60))
        .encode(
            x=alt.X(
                "mean_probability:Q", title="stated probability", scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("observed_frequency:Q", title="observed frequency"),
            tooltip=["stage", "low", "high", "n", "mean_probability", "observed_frequency"],
            **_stages(of=by_stage),
        )
    )
    return (perfect + measured).properties(title="Reliability", height=HEIGHT)


def bin_counts(rows: Rows) -> Any:
    """Chart how many pixels stand behind each bin, positives among them in orange."""
    bins = pd.DataFrame(rows)[["low", "high", "n", "observed_frequency"]]
    bins = bins[bins["n"] > 0].assign(
        positives=lambda found: (found["n"] * found["observed_frequency"]).round()
    )
    base = alt.Chart(bins).encode(
        x=alt.X("low:Q", title="stated probability", scale=alt.Scale(domain=[0, 1])),
        x2="high:Q",
        y2=alt.datum(0),
        tooltip=["low", "high", "n", "positives"],
    )
    log = alt.Scale(type="symlog")
    every = base.mark_bar(color=BLUE, opacity=0.6).encode(
        y=alt.Y(
            "n:Q",
            title="pixels (log)",
            scale=log,
            axis=alt.Axis(values=[1, 100, 10**4, 10**6, 10**8], format=","),
        )
    )
    hits = base.mark_bar(color=ORANGE, opacity=0.7).encode(y=alt.Y("positives:Q", scale=log))
    return (every + hits).properties(title="Pixels in each bin, as shipped", height=170)


def risk_coverage(by_stage: Mapping[str, Rows]) -> Any:
    """Chart the error among the most certain share of decisions over that share, by stage."""
    return (
        alt.Chart(_joined(by_stage, "coverage", "risk"))
        .mark_line()
        .encode(
            x=alt.X("coverage:Q", title="coverage (share kept, most certain first)"),
            y=alt.Y("risk:Q", title="risk (error rate)", axis=alt.Axis(format="~g")),
            tooltip=["stage", "coverage", "risk"],
            **_stages(of=by_stage),
        )
        .properties(title="Risk-coverage", height=HEIGHT)
    )


def over_time(rows: Rows, metric: str, title: str) -> Any:
    """Chart one metric of every measurement over its date, a line for each model and series."""
    found = pd.DataFrame(
        [
            {
                "measured_at": row["measured_at"],
                "value": row[metric],
                "line": f"{row['model'] or 'unnamed'} ({row['model_digest'][:8]}), {row['line']}",
                "dataset": row["dataset"],
                "frames": row["frames"],
                "n": row["n"],
            }
            for row in rows
            if row[metric] is not None
        ]
    )
    return (
        alt.Chart(found)
        .mark_line(point=alt.OverlayMarkDef(size=60))
        .encode(
            x=alt.X(
                "measured_at:T", title="measured (UTC)", scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%d %b %H:%M", tickCount=6, labelOverlap=True),
            ),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format="~g"), scale=alt.Scale(zero=True)),
            color=alt.Color(
                "line:N", title=None, scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(orient="top", columns=2, labelLimit=520),
            ),
            tooltip=["line", "dataset", "frames", "n", "value", "measured_at:T"],
        )
        .properties(title=f"{title} over time", height=HEIGHT)
    )  # fmt: skip


def _joined(by_stage: Mapping[str, Rows], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"stage": stage, **{name: row[name] for name in columns}}
            for stage, rows in by_stage.items()
            for row in rows
        ],
        columns=["stage", *columns],
    )
