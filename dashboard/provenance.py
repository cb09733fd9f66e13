"""Where a detection comes from: frame, models, policy, calibration, what was asked and said."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from dashboard.access import ask
from dashboard.figures import age, count, literal, number
from db.queries import anomalies, catalogues, evidence
from jobs.api.routes import plain

Row = dict[str, Any]
ANSWERS = {"match": "match", "no_match": "no match", "not_determined": "not determined"}


def show_provenance(found: Row) -> None:
    """Lay the card out; the whole of it is a file too."""
    card = provenance(found)
    with st.expander("Provenance", icon=":material/receipt_long:"):
        for heading, lines in _worded(card):
            st.markdown(f"**{heading}**")
            st.markdown("\n".join(f"- {line}" for line in lines) or "- nothing")
        st.download_button(
            "Provenance as JSON", json.dumps(plain(card), indent=1),
            file_name=f"provenance-{found['detection_id'][:12]}.json", mime="application/json",
            icon=":material/download:", on_click="ignore", type="tertiary", key="provenance_json",
        )  # fmt: skip


def provenance(found: Row) -> Row:
    """All that a detection rests on, as values."""
    detection_id, source = found["detection_id"], found["source"]
    names = ("frame_digest", "source", "object_id", "uri", "mjd", "band", "instrument", "width",
             "height", "unit")  # fmt: skip
    runs = ask(evidence.runs_with_policies, found["frame_digest"])
    return {
        "detection": {"detection_id": detection_id, "run_id": found["run_id"],
                      "cycle_id": found["cycle_id"], "detected_at": found["detected_at"],
                      "embedder": found["embedder"], "reference": found["reference"]},
        "frame": {name: found[name] for name in names},
        "runs": [{**row, "policy": json.loads(row["policy"] or "{}")} for row in runs],
        "policy": json.loads(found["policy"] or "{}"),
        "calibration": ask(evidence.calibration_of, source, found["model_digest"])
        if source else None,
        "calibration_expired": found["calibration_expired"],
        "catalogues": ask(catalogues.answers, detection_id),
        "labels": ask(anomalies.label_log, detection_id),
    }  # fmt: skip


def _worded(card: Row) -> list[tuple[str, list[str]]]:
    frame, held = card["frame"], card["calibration"]
    calibration = (
        f"number {held['version']} of this source, {age(held['made_at'])}, on "
        f"{count(held['calibrated_on'])} held-out detections ({held['cause']})"
        if held
        else f"as shipped with the reference {literal(card['detection']['reference'])}"
    )
    if card["calibration_expired"]:
        calibration += "; **expired**: the source has drifted away from it"
    return [
        ("Frame", _frame_lines(frame)),
        ("Models", [_run_line(row) for row in card["runs"]]),
        (
            "Policy and thresholds",
            [f"{name.replace('_', ' ')}: `{value}`" for name, value in card["policy"].items()
             if name != "pipeline" and value != ""],
        ),
        ("Calibration", [calibration]),
        ("Catalogues", [_answer_line(row) for row in card["catalogues"]]),
        ("Labels", [_label_line(row) for row in card["labels"]]),
        (
            "Detection",
            [f"`{card['detection']['detection_id']}`, {age(card['detection']['detected_at'])}",
             f"run `{card['detection']['run_id']}`, cycle `{card['detection']['cycle_id']}`",
             f"embedder {literal(card['detection']['embedder'])}"],
        ),
    ]  # fmt: skip


def _frame_lines(frame: Row) -> list[str]:
    seen = [
        f"MJD {frame['mjd']:.5f}" if frame["mjd"] is not None else "no date",
        f"band {literal(frame['band'])}" if frame["band"] else "",
        literal(frame["instrument"] or ""),
    ]
    return [
        f"digest `{frame['frame_digest']}`",
        f"{count(frame['width'])} × {count(frame['height'])} px, unit "
        f"{literal(frame['unit'] or 'not stated')}",
        f"{literal(frame['object_id'] or 'no name')} from {literal(frame['source'] or 'unknown')}, "
        + ", ".join(filter(None, seen)),
        literal(frame["uri"] or "no address"),
    ]


def _run_line(row: Row) -> str:
    return (
        f"{row['pipeline']}: {literal(row['model'] or 'unnamed')} `{row['model_digest'][:12]}`, "
        f"policy `{row['policy_digest'][:12]}`, {row['status'].replace('_', ' ')}, "
        f"{age(row['finished_at'])}"
    )


def _answer_line(row: Row) -> str:
    line = f"{literal(row['service'])}: {ANSWERS[row['answer']]}"
    if row["object_name"]:
        line += f", {literal(row['object_name'])} at {number(row['separation_arcsec'])}″"
    return f"{line}, radius {row['radius_arcsec']:g}″, asked {age(row['asked_at'])}"


def _label_line(row: Row) -> str:
    holds = "" if row["current"] else " (no longer holds)"
    comment = f": {literal(row['comment'])}" if row["comment"] else ""
    return f"{literal(row['labeller'])} {row['label']}{comment}, {age(row['labelled_at'])}{holds}"
