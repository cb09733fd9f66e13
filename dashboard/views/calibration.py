"""Calibration: how far the probabilities can be believed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import charts
from dashboard.access import ask, owner
from dashboard.figures import age, count, made_by, number
from dashboard.states import empty
from dashboard.tables import measured, moment, table
from db.queries import calibration


def show() -> None:
    """Lay the page out."""
    st.title("Calibration")
    owner()
    reports = ask(calibration.reports)
    if not reports:
        empty("calibration reports", "They are measured on frames whose truth is known.")
        return
    by_id = {row["report_id"]: row for row in reports}
    chosen = st.selectbox(
        "Model and data set",
        list(by_id),
        format_func=lambda report_id: _name(by_id[report_id]),
        key="report",
    )
    _one_report(by_id[chosen])
    st.subheader("All models and data sets")
    table(
        reports,
        {
            "pipeline": "pipeline",
            "model": "model",
            "dataset": "data set",
            "n": "n",
            "positives": "positives",
            "brier": measured("Brier", ".3g"),
            "nll": measured("NLL (nats)", ".3g"),
            "ece": measured("ECE", ".3g"),
            "aurc": measured("AURC", ".3g"),
            "temperature": measured("temperature", ".3f"),
            "measured_at": moment("measured"),
        },
        key="reports",
        alt="The newest calibration report of each model on each data set",
    )


def _one_report(report: dict[str, Any]) -> None:
    cards = st.grid(4)
    cards.metric(
        "ECE",
        number(report["ece"]),
        border=True,
        height="stretch",
        help=f"{report['ece_bins']} bins, norm {report['ece_norm']}: mean distance between stated "
        "probability and observed frequency. 0 is perfect.",
    )
    cards.metric(
        "Brier",
        number(report["brier"]),
        border=True,
        height="stretch",
        help="Mean squared error; 0 is perfect.",
    )
    cards.metric(
        "NLL",
        number(report["nll"], "nats"),
        border=True,
        height="stretch",
        help="Negative log-likelihood.",
    )
    cards.metric(
        "AURC",
        number(report["aurc"]),
        border=True,
        height="stretch",
        help="Area under the risk-coverage curve.",
    )
    st.caption(
        f"n = {count(report['n'])}, {count(report['positives'])} positives; temperature "
        f"{number(report['temperature'])}; measured {age(report['measured_at'])}; "
        + made_by(report["model"], report["model_digest"], report["measured_at"])
    )
    left, right = st.columns(2, gap="large")
    with left:
        bins = ask(calibration.reliability, report["report_id"])
        if bins:
            charts.show(
                charts.reliability(bins),
                "On the dashed line, a stated 70 % came true 7 times in 10; "
                "below it the model is too sure.",
            )
            charts.show(charts.bin_counts(bins), "Few samples in a bin are little proof.")
        else:
            st.caption("This report has no reliability bins.")
    with right:
        points = ask(calibration.risk_coverage, report["report_id"])
        if points:
            charts.show(
                charts.risk_coverage(points),
                "A curve that stays low to the right: the least certain decisions are the wrong "
                "ones, so setting them aside helps.",
            )
        else:
            st.caption("This report has no risk-coverage curve.")


def _name(report: dict[str, Any]) -> str:
    return f"{report['model'] or report['model_digest'][:8]} on {report['dataset']}"


show()
