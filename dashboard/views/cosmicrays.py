"""Cosmic rays: where they are, how sure that is, what people say, and the frame without them."""

from __future__ import annotations

import json
from typing import Any, get_args

import streamlit as st

from dashboard import hit_gallery, layers, viewer
from dashboard.access import ask, owner
from dashboard.artefacts import artefacts
from dashboard.editing import chosen_line, edit_panel, log_table
from dashboard.figures import count, literal, made_by, name_of, number
from dashboard.frame_choice import choose_frame
from dashboard.hits import MaskView, hits_of, mask_view
from dashboard.inapplicable import inapplicable_frames
from dashboard.picking import Picked, picked
from dashboard.states import empty, failure
from dashboard.tables import measured, moment, table
from db.errors import StoreError
from db.queries import calibration, cosmicrays, frames, mask_edits, runs
from engine.errors import EngineError
from engine.metrics.calibration import binary_entropy
from engine.stretch import Method

Row = dict[str, Any]
VIEWER = "frame_viewer"
METHODS = {
    "unet_8_views": "plain net, mean over eight flips and quarter turns",
    "unet": "plain net, one pass",
    "vi": "variational net, several weight draws",
    "stis_8_views": "net fitted to the STIS CCD, mean over eight flips and quarter turns",
    "stis": "net fitted to the STIS CCD, one pass",
    "ensemble": "ensemble of plain nets",
}
STRETCHES = [name for name in get_args(Method) if name != "linear"]
FLAGGED, ADDED, REMOVED = (230, 159, 0, 255), (0, 158, 115, 255), (204, 121, 167, 255)
PALETTE = layers.MAP_COLOURS


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
    _chosen_frame(found)
    _all_runs(found)
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
        help="Connected groups of pixels above each run's threshold, without people's edits.",
    )
    cards.metric("Flagged pixels", count(summary["flagged_pixels"]), border=True, height="stretch")
    cards.metric("Not applicable", count(outcomes["not_applicable"]), border=True, height="stretch")


@st.fragment
def _chosen_frame(found: list[Row]) -> None:
    _one_frame(choose_frame(found))


def _one_frame(frame_digest: str) -> None:
    run = ask(cosmicrays.cosmic_ray_run, frame_digest)
    if run is None:
        st.info("This frame has no current cosmic-ray run.")
        return
    st.subheader(literal(name_of(run)))
    st.caption(
        f"{METHODS.get(run['method'], literal(run['method']))} ({run['samples']} samples), "
        f"threshold {run['threshold']:.2f}: {count(run['hits'])} hits on "
        f"{count(run['flagged_pixels'])} pixels; "
        + made_by(run["model"], run["model_digest"], run["finished_at"])
    )
    _calibration_badges(run["model_digest"])
    try:
        st.fragment(_workbench)(run)
    except (StoreError, EngineError) as error:
        failure(error)
    _provenance(run)


def _workbench(run: Row) -> None:
    """The part that answers to the slider and to edits, without the rest of the page."""
    try:
        method, inverted, threshold = _controls(run)
        log = ask(mask_edits.edits_of_frame, run["frame_digest"])
        view = mask_view(run, threshold, log)
        _counts(run, view, threshold)
        chosen = picked(st.session_state.get(hit_gallery.CHOSEN), run, view)
        _viewer(run, view, chosen, method, inverted=inverted)
        chosen_line(chosen, _values_at(run, chosen))
        edit_panel(run, view, threshold, chosen, log)
        hits = hits_of(run, view)
        hit_gallery.hit_gallery(run, view, hits, method, inverted=inverted)
        artefacts(run, view)
        log_table(log)
    except (StoreError, EngineError) as error:
        failure(error)


def _controls(run: Row) -> tuple[Method, bool, float]:
    left, middle, right = st.columns([5, 2, 5], vertical_alignment="bottom")
    method = left.segmented_control(
        "Stretch of the frame and of the cleaned frame",
        STRETCHES,
        default="zscale",
        required=True,
        key="stretch",
        help="Both panels share the frame's limits; the maps keep their fixed scales.",
    )
    inverted = middle.toggle("Invert", key="invert", help="Dark sources on a bright sky.")
    threshold = right.slider(
        "Threshold",
        0.01,
        0.99,
        float(run["threshold"]),
        0.01,
        key=f"threshold_{run['run_id']}",
        help="Redraws mask and counts from the stored probabilities; no model runs again.",
    )
    return method or "zscale", inverted, float(threshold)


def _counts(run: Row, view: MaskView, threshold: float) -> None:
    pixels, edited = int(view.model.sum()), int(view.said.mask.sum())
    changed = bool(view.added.any() or view.removed.any())
    cards = st.grid(3)
    for title, value, with_edits in (
        ("Hits at this threshold", count(view.model_hits), count(view.groups.count)),
        ("Pixels", count(pixels), count(edited)),
        ("Share of the frame", f"{pixels / run['pixels']:.2%}", f"{edited / run['pixels']:.2%}"),
    ):
        cards.metric(
            title,
            value,
            delta=f"{with_edits} with people's edits" if changed else None,
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    st.caption(
        f"{count(pixels)} pixels above {threshold:.2f} in {count(view.model_hits)} connected "
        f"groups, of {count(run['pixels'])} good pixels; from the stored probability map "
        f"`{run['probability_array'][:12]}` of run `{run['run_id'][:12]}`."
    )


def _viewer(
    run: Row, view: MaskView, chosen: Picked | None, method: Method, *, inverted: bool
) -> None:
    frame, cleaned = (
        layers.stretched_url(run, run["run_id"], layer, method, inverted=inverted)
        for layer in ("frame", "cleaned")
    )
    fresh = run["cleaned_values_file"] is not None
    viewer.show(
        viewer.View(
            frame=run["frame_digest"],
            shape=(run["height"], run["width"]),
            panels=[
                viewer.Panel("Frame", "frame as taken", frame),
                viewer.Panel(
                    "Mask", "frame with the flagged pixels painted", frame,
                    ("flagged", "added", "removed"),
                    note="orange: the model's; green: added, pink: taken out by people",
                ),
                viewer.Panel(
                    "Cleaned", "cleaned frame", cleaned,
                    note=f"inpainted where p > {run['threshold']:.2f}"
                    + ("" if fresh else "; its run kept only a picture"),
                ),
                viewer.Panel(
                    "Probability", "map of the probability",
                    layers.map_url(run, run["run_id"], "probability"), scale=("0", "1", PALETTE),
                ),
                viewer.Panel(
                    "Predictive entropy", "map of the entropy",
                    layers.map_url(run, run["run_id"], "entropy"),
                    scale=("0", "ln 2 nats", PALETTE),
                ),
                viewer.Panel(
                    "Mutual information", "map of the mutual information",
                    layers.map_url(run, run["run_id"], "information"),
                    scale=("0", "ln 2 / 4 nats", PALETTE),
                    note="what the weight draws disagree about",
                ),
            ],
            overlays={
                "flagged": layers.mask_url(view.model & ~view.removed, FLAGGED),
                "added": layers.mask_url(view.added, ADDED),
                "removed": layers.mask_url(view.removed, REMOVED),
            },
            marks=[chosen.box] if chosen else [],
            goto=st.session_state.get(hit_gallery.GOTO),
        ),
        key=VIEWER,
        on_choice=_choose,
    )  # fmt: skip


def _choose() -> None:
    st.session_state[hit_gallery.CHOSEN] = st.session_state[VIEWER]["chosen"]


def _values_at(run: Row, chosen: Picked | None) -> dict[str, float | None]:
    if chosen is None:
        return {}
    stated = float(layers.probability(run)[chosen.place])
    information = layers.information(run)
    pixels, _ = layers.frame_pixels(run)
    return {
        f"frame ({literal(run['unit'] or 'pixel units')})": float(pixels[chosen.place]),
        "probability": stated,
        "entropy (nats)": float(binary_entropy(stated)),
        "mutual information (nats)": None
        if information is None
        else float(information[chosen.place]),
    }


def _calibration_badges(model_digest: str) -> None:
    """State what each hold-out said of this model; one badge a data set."""
    reports = [row for row in ask(calibration.reports) if row["model_digest"] == model_digest]
    if not reports:
        st.badge("not calibrated: this model was measured on no held-out data here", color="gray")
        return
    badges = []
    for row in reports:
        over_open = [
            f", {number(other['ece'])} where p >= 0.01"
            for other in ask(calibration.variants, row["report_id"])
            if (other["pixels"], other["stage"]) == ("p >= 0.01", "shipped")
        ]
        badges.append(
            f":blue-badge[{literal(row['dataset'])}: ECE {number(row['ece'])}"
            f"{''.join(over_open)}; NLL {number(row['nll'])}]"
        )
    st.markdown(" ".join(badges))
    st.page_link(
        "views/calibration.py",
        label="How far these probabilities can be believed",
        icon=":material/balance:",
    )


def _provenance(run: Row) -> None:
    with st.expander("Provenance of every number above"):
        names = ("run_id", "frame_digest", "model_digest", "policy_digest", "method", "samples",
                 "threshold", "duration_s", "pixels_file", "probability_array",
                 "information_values_file", "cleaned_values_file", "mask_file")  # fmt: skip
        edits = ask(mask_edits.edits_of_frame, run["frame_digest"])
        policy = ask(cosmicrays.policy, run["policy_digest"])
        st.json(
            {name: run[name] for name in names}
            | {
                "finished_at": str(run["finished_at"]),
                "policy": json.loads(policy or "{}"),
                "edits_that_hold": [row["edit_id"] for row in edits if row["current"]],
                "runs_of_this_frame": [
                    f"{row['pipeline']} {row['status']} {row['run_id']}"
                    for row in ask(frames.runs_of_frame, run["frame_digest"])
                ],
            }
        )


def _all_runs(found: list[Row]) -> None:
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


show()
