"""Cosmic rays: where they are, how sure that is, and the frame without them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import pictures
from dashboard.access import ask, owner
from dashboard.figures import count, literal, made_by, name_of, number
from dashboard.frame_choice import choose_frame
from dashboard.inapplicable import inapplicable_frames
from dashboard.states import empty
from dashboard.tables import measured, moment, table
from db.queries import calibration, cosmicrays, runs


def show() -> None:
    """Lay the page out."""
    st.title("Cosmic rays")
    owner()
    found = ask(cosmicrays.cosmic_ray_runs)
    if not found:
        empty("cosmic-ray runs")
        inapplicable_frames("cosmicrays", "cosmic-ray detector")
        return
    _totals()
    _one_frame(choose_frame(found))
    st.subheader("All runs")
    table(
        found,
        {
            "object_id": "object",
            "method": "method",
            "hits": "hits",
            "flagged_share": st.column_config.NumberColumn("flagged", format="percent"),
            "threshold": measured("threshold", ".2f"),
            "mean_entropy": measured("mean entropy (nats)", ".4f"),
            "mean_information": measured("mean information (nats)", ".5f"),
            "exposure_s": measured("exposure (s)", ".1f"),
            "samples": "samples",
            "model": "model",
            "finished_at": moment("run"),
        },
        key="cosmic_ray_runs",
        alt="The current cosmic-ray runs",
    )
    inapplicable_frames("cosmicrays", "cosmic-ray detector")


def _totals() -> None:
    summary = ask(cosmicrays.cosmic_ray_summary)
    outcomes = ask(runs.outcomes, "cosmicrays")
    cards = st.grid(4)
    cards.metric("Frames searched", count(summary["runs"]), border=True, height="stretch")
    cards.metric(
        "Hits",
        count(summary["hits"]),
        border=True,
        height="stretch",
        help="Connected groups of pixels.",
    )
    cards.metric("Flagged pixels", count(summary["flagged_pixels"]), border=True, height="stretch")
    cards.metric("Not applicable", count(outcomes["not_applicable"]), border=True, height="stretch")


def _one_frame(frame_digest: str) -> None:
    run = ask(cosmicrays.cosmic_ray_run, frame_digest)
    if run is None:
        st.info("This frame has no current cosmic-ray run.")
        return
    st.subheader(literal(name_of(run)))
    st.caption(
        f"{count(run['hits'])} hits, {count(run['flagged_pixels'])} pixels flagged at threshold "
        f"{run['threshold']:.2f}, {run['samples']} samples; "
        + made_by(run["model"], run["model_digest"], run["finished_at"])
    )
    st.caption(_calibration_line(run["model_digest"]))
    first = st.columns(3)
    with first[0]:
        pictures.show(run["preview_file"], "Frame", "frame as taken")
    with first[1]:
        _mask_at_threshold(run)
    with first[2]:
        pictures.show(run["cleaned_file"], "Cleaned: flagged pixels inpainted", "cleaned frame")
    second = st.columns(3)
    with second[0]:
        pictures.show(run["probability_file"], "Probability, 0 to 1", "map of the probability")
    with second[1]:
        pictures.show(
            run["entropy_file"], "Predictive entropy, 0 to ln 2 nats", "map of the entropy"
        )
    with second[2]:
        pictures.show(
            run["information_file"],
            "Mutual information (what the model does not know), 0 to ln 2 / 4 nats",
            "map of the mutual information",
        )


def _mask_at_threshold(run: dict[str, Any]) -> None:
    place = st.empty()
    threshold = st.slider(
        "Threshold",
        0.01,
        0.99,
        float(run["threshold"]),
        0.01,
        key=f"threshold_{run['run_id']}",
        help="Redraws the mask from the stored probabilities; nothing is computed again.",
    )
    flagged = pictures.probability_map(run["probability_array"]) > threshold
    pixels = int(flagged.sum())
    place.image(
        pictures.mask_over(pictures.content(run["preview_file"]), flagged),
        caption=f"Mask at threshold {threshold:.2f}",
        alt="frame with the flagged pixels painted",
        width="stretch",
    )
    st.caption(f"{count(pixels)} pixels above it, {pixels / flagged.size:.2%} of the frame")


def _calibration_line(model_digest: str) -> str:
    reports = [row for row in ask(calibration.reports) if row["model_digest"] == model_digest]
    if not reports:
        return "This model's probabilities have not been measured on held-out data here."
    measured_on = "; ".join(
        f"ECE {number(row['ece'])} on {literal(row['dataset'])} (n = {row['n']:,})"
        for row in reports
    )
    return f"Held-out calibration of this model: {measured_on}. Details on the Calibration page."


show()
