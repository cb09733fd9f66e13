"""Calibration: how far the probabilities can be believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import calibration_charts, charts
from dashboard.access import ask, owner
from dashboard.calibration_charts import SHIPPED, UNTEMPERED
from dashboard.figures import count, literal, made_by, number
from dashboard.states import empty
from dashboard.tables import measured, moment, table
from db.queries import calibration

Row = dict[str, Any]
Variants = Mapping[tuple[str, str], Row]
ALL, OPEN = "all", "p >= 0.01"
STAGES = {"shipped": SHIPPED, "untempered": UNTEMPERED}
METRICS = {
    "ece": (
        "ECE, equal width",
        "mean distance of stated probability and observed frequency, over bins of equal width",
    ),
    "ece_equal_mass": (
        "ECE, equal mass",
        "the same over bins of equally many pixels, so that no bin is nearly empty",
    ),
    "ece_by_class": (
        "ECE by class",
        "the mean of ECE among pixels called hits and among the others: the rare class counts half",
    ),
    "brier": ("Brier", "mean squared distance of probability and truth: calibration and sharpness"),
    "nll": ("NLL (nats)", "mean surprise at the truth; one sure mistake costs most"),
    "aurc": (
        "AURC",
        "errors among the surest pixels, averaged over how many are kept: low if doubt finds them",
    ),
}
DEFAULT_DETECTOR = (
    "The default detector is the plain net over eight flips and quarter turns. The variational net "
    "was better than the plain one on an instrument neither had seen and level with it on injected "
    "hits, and eight views were at least as good with half the passes (`skysieve bench "
    "cosmicrays`, docs/decisions/0006)."
)
FROM_CARD = {"ece": "ece_equal_width_p_ge_0.01", "ece_equal_mass": "ece_equal_mass_p_ge_0.01"}


def show() -> None:
    """Lay the page out."""
    st.title("Calibration")
    owner()
    reports = ask(calibration.reports)
    if not reports:
        empty("calibration reports", "They are measured on frames whose truth is known.")
        return
    _chosen_measurement(reports)
    st.caption(DEFAULT_DETECTOR)
    st.divider()
    _over_time()
    _all_reports(reports)


@st.fragment
def _chosen_measurement(reports: list[Row]) -> None:
    by_id = {row["report_id"]: row for row in reports}
    chosen = st.selectbox(
        "Model and data set",
        list(by_id),
        format_func=lambda report_id: _name(by_id[report_id]),
        key="report",
    )
    _one_measurement(by_id[chosen])


def _one_measurement(report: Row) -> None:
    variants = {
        (row["pixels"], row["stage"]): row for row in ask(calibration.variants, report["report_id"])
    }
    card = _card(report["model_digest"])
    choices = [pixels for pixels in (ALL, OPEN) if (pixels, "shipped") in variants]
    pixels: str | None = ALL
    if len(choices) > 1:
        pixels = st.segmented_control(
            "Pixels", choices, default=ALL, required=True, key="pixels",
            format_func=lambda name: "all pixels" if name == ALL
            else "where the question is open (p >= 0.01)",
            help="Nearly all pixels are easy negatives, which makes every error over all pixels "
            "small.",
        )  # fmt: skip
    shown = variants[pixels or ALL, "shipped"]
    before = variants.get((pixels or ALL, "untempered"))
    _cards(shown, before)
    frames = f"{count(shown['frames'])} frames, " if shown["frames"] else ""
    st.caption(
        f"{frames}n = {count(shown['n'])}, {count(shown['positives'])} positives; report "
        f"`{shown['report_id'][:12]}` on {literal(shown['dataset'])}; "
        + made_by(shown["model"], shown["model_digest"], shown["measured_at"])
    )
    _temperature(shown, before, card)
    _curves(shown, before)
    _matrix(variants, card, report["dataset"])


def _cards(shown: Row, before: Row | None) -> None:
    cards = st.grid(5, min_column_width=150)
    for metric in ("ece", "ece_equal_mass", "brier", "nll", "aurc"):
        title, meaning = METRICS[metric]
        cards.metric(
            title,
            number(shown[metric]),
            delta=f"{number(before[metric])} without T" if before else None,
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=f"{meaning[0].upper()}{meaning[1:]}. 0 is perfect."
            + (f" {shown['ece_bins']} bins, norm {shown['ece_norm']}." if "ece" in metric else ""),
        )


def _temperature(shown: Row, before: Row | None, card: Row) -> None:
    applied = shown["applied_temperature"] or card.get("temperature")
    if applied is None:
        st.markdown("**Temperature** none stated by the model's card.")
        return
    fitted = ", ".join(
        f"{literal(name)} ({number(value)})"
        for name, value in (card.get("temperature_fitted") or {}).items()
    )
    words = f"**Temperature {number(applied)}** divides every logit"
    words += f"; fitted on {fitted}" if fitted else "; not fitted on any set"
    if card.get("temperature_reason"):
        words += f": {literal(card['temperature_reason'])}"
    if shown["temperature"] is not None:
        words += (
            f". On this very data a further temperature of {number(shown['temperature'])} would "
            "have been best (a diagnosis: it is not applied)"
        )
    st.markdown(f"{words}.")
    if before is None:
        st.caption("This measurement was made with the temperature only: there is no curve before.")
    elif shown["frames"]:
        st.caption(
            "Before: the temperature undone on the stored mean over weight draws, which is exact "
            "for one draw and close for several."
        )


def _curves(shown: Row, before: Row | None) -> None:
    stages = {STAGES["shipped"]: shown} | ({STAGES["untempered"]: before} if before else {})
    left, right = st.columns(2, gap="large")
    with left:
        bins = {name: ask(calibration.reliability, row["report_id"])
                for name, row in stages.items()}  # fmt: skip
        if bins[SHIPPED]:
            charts.show(
                calibration_charts.reliability(bins),
                "On the dashed line, a stated 70 % came true 7 times in 10; "
                "below it the model is too sure.",
            )
        else:
            st.caption("This report has no reliability bins.")
    with right:
        points = {name: ask(calibration.risk_coverage, row["report_id"])
                  for name, row in stages.items()}  # fmt: skip
        if points[SHIPPED]:
            charts.show(
                calibration_charts.risk_coverage(points),
                "A curve that stays low to the right: the least certain decisions are the wrong "
                "ones, so setting them aside helps. A temperature cannot change the order.",
            )
        else:
            st.caption("This report has no risk-coverage curve.")
    if bins[SHIPPED]:
        charts.show(
            calibration_charts.bin_counts(bins[SHIPPED]),
            "Blue: pixels in each bin; orange: cosmic rays among them. Few in a bin are little "
            "proof.",
        )


def _matrix(variants: Variants, card: Row, dataset: str) -> None:
    """Every metric over all and over open pixels, before and after the temperature."""
    held = card.get("metrics", {}).get(dataset, {})
    rows = []
    for metric, (title, _) in METRICS.items():
        row: Row = {"metric": title}
        for pixels in (ALL, OPEN):
            for stage in STAGES:
                variant = variants.get((pixels, stage))
                row[f"{pixels} {stage}"] = variant[metric] if variant else None
        if (OPEN, "shipped") not in variants and metric in FROM_CARD:
            row[f"{OPEN} shipped"] = held.get(FROM_CARD[metric])
        rows.append(row)
    st.markdown("**Every metric, lower is better**")
    headings = {
        "all shipped": "all pixels",
        "all untempered": "all pixels, without T",
        "p >= 0.01 shipped": "p >= 0.01",
        "p >= 0.01 untempered": "p >= 0.01, without T",
    }
    filled = [name for name in headings if any(row[name] is not None for row in rows)]
    table(
        rows,
        {"metric": "metric", **{name: measured(headings[name], ".3g") for name in filled}},
        key="metrics",
        alt="Every metric of this measurement",
    )
    st.caption("\n".join(f"- {title}: {meaning}." for title, meaning in METRICS.values()))
    if (OPEN, "shipped") not in variants and held:
        st.caption("The values over p >= 0.01 are from the model's card, which keeps no curve.")


@st.fragment
def _over_time() -> None:
    st.subheader("Over time")
    history = ask(calibration.history)
    left, right = st.columns([3, 2])
    metric = left.segmented_control(
        "Metric", list(METRICS), default="ece", required=True, key="history_metric",
        format_func=lambda name: METRICS[name][0],
    )  # fmt: skip
    pixels = right.segmented_control(
        "Over", [ALL, OPEN], default=ALL, required=True, key="history_pixels",
        format_func=lambda name: "all pixels" if name == ALL else name,
    )  # fmt: skip
    rows = [row for row in history if row["pixels"] == (pixels or ALL)]
    if not rows:
        st.caption("Nothing was measured over these pixels yet.")
        return
    title = METRICS[metric or "ece"][0]
    charts.show(
        calibration_charts.over_time(rows, metric or "ece", title),
        f"{len(rows)} measurements, one point each; a line that climbs is drift. A simulated night "
        "adds a point with every scan of a new one, people's masks with every round of edits.",
    )


def _all_reports(reports: list[Row]) -> None:
    st.subheader("All models and data sets")
    table(
        reports,
        {
            "pipeline": "pipeline",
            "model": "model",
            "dataset": "data set",
            "frames": "frames",
            "n": "n",
            "positives": "positives",
            "brier": measured("Brier", ".3g"),
            "nll": measured("NLL (nats)", ".3g"),
            "ece": measured("ECE", ".3g"),
            "ece_equal_mass": measured("ECE, equal mass", ".3g"),
            "aurc": measured("AURC", ".3g"),
            "applied_temperature": measured("T applied", ".3f"),
            "temperature": measured("best T here", ".3f", "on top of the one applied"),
            "measured_at": moment("measured"),
        },
        key="reports",
        alt="The newest calibration report of each model on each data set",
    )


def _card(model_digest: str) -> Row:
    """What the model's card says of its calibration, with its metrics under `metrics`."""
    row = ask(calibration.card, model_digest)
    if row is None:
        return {}
    facts: Row = json.loads(row["calibration"] or "{}")
    return facts | {"metrics": json.loads(row["metrics"] or "{}")}


def _name(report: Row) -> str:
    return f"{report['model'] or report['model_digest'][:8]} on {report['dataset']}"


show()
