"""One detection in full: its layers, scores, labels, catalogue answers and provenance."""

from __future__ import annotations

import json
import uuid
from typing import Any

import streamlit as st

from dashboard import pictures, sky_links
from dashboard.access import ask, owner
from dashboard.anomaly_list.gallery import missed
from dashboard.descriptions import show_descriptions
from dashboard.evidence import show_duplicates, show_evidence, show_series
from dashboard.figures import age, literal, made_by, name_of, number
from dashboard.finder_chart import finder_chart
from dashboard.progress import follow
from dashboard.provenance import ANSWERS, show_provenance
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db.errors import StoreError
from db.queries import anomalies, catalogues, compression, cosmicrays
from db.queries import evidence as evidence_pages
from jobs.errors import JobError

Row = dict[str, Any]
VERDICT_BADGES = {
    "candidate": "red",
    "near_miss": "orange",
    "uncertain": "violet",
    "normal": "blue",
    "artefact": "gray",
}
SERVICES = {"simbad": "SIMBAD", "ned": "NED", "aladin": "Aladin"}
ODD_RATE = 0.01


def show_detection(found: Row) -> None:
    """Show everything the store knows about one detection."""
    detection_id = found["detection_id"]
    st.subheader(literal(name_of(found)))
    if not found["current"]:
        st.warning("A later run of another model or policy has replaced this detection.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        layers(found)
        finder_chart(found)
    with right:
        verdict_line(found)
        facts(found)
        _why(found)
        _labels(detection_id)
        show_descriptions(detection_id)
        _catalogues(found)
    show_series(found["frame_digest"])
    _neighbours(detection_id)
    show_duplicates(detection_id)
    show_provenance(found)


def layers(found: Row) -> None:
    """Show the cutout, and the frame it lies on through each pipeline's eyes."""
    pictures.show_cutout(found["cutout_file"], f"Cutout, {found['size_px']} px", "cutout")
    judged = ask(evidence_pages.evidence, found["detection_id"])
    if judged and judged["heat_map_file"]:
        pictures.show_cutout(
            judged["heat_map_file"],
            "Where its patches are unlike those of simulated normals: bright is unlike. It "
            "explains, and never ranks.",
            "heat map of the cutout",
        )
    coded = ask(compression.codec_run, found["frame_digest"])
    rays = ask(cosmicrays.cosmic_ray_run, found["frame_digest"])
    files = {"frame": found["preview_file"]}
    if rays:
        files["rays"] = rays["probability_file"]
        files["cleaned"] = rays["cleaned_file"]
    if coded:
        files["decoded"] = coded["reconstruction_file"]
        files["error"] = coded["error_file"]
    layer = st.segmented_control("Layer", list(files), default="frame", required=True, key="layer")
    chosen = layer or "frame"
    pictures.show_place(found, files[chosen], f"{chosen}: the box marks the detection")


def verdict_line(found: Row) -> None:
    """Show the machine's verdict and its reason, apart from what people said."""
    st.badge(
        f"machine: {found['verdict'].replace('_', ' ')}",
        color=VERDICT_BADGES[found["verdict"]],  # type: ignore[arg-type]
    )
    if found["missed_by_decades"] is not None:
        st.badge(missed(found["missed_by_decades"]), color="orange", icon=":material/straighten:")
        st.caption(
            f"p = {number(found['p_value'])} where candidates are allowed "
            f"{number(found['candidate_rate'])}: {found['missed_by_decades']:.2f} decades away."
        )
    if found["calibration_expired"]:
        st.badge("calibration expired", color="yellow", icon=":material/history:")
        st.caption("The source has drifted from what its p-values were calibrated on.")
    st.markdown(literal(found["reason"]))
    st.caption(made_by(found["model"], found["model_digest"], found["detected_at"]))


def facts(found: Row) -> None:
    """Show where it is and how bright, with units."""
    cards = st.grid(4, min_column_width=110)
    cards.metric("p-value", number(found["p_value"]))
    cards.metric("Signal to noise", number(found["snr"]))
    cards.metric("Cosmic-ray share", number(found["cosmic_ray_share"]))
    cards.metric("Flux", number(found["flux"]), help=f"unit: {found.get('unit') or 'unknown'}")
    place = f"pixel ({found['x']:.1f}, {found['y']:.1f})"
    if found["ra_deg"] is not None:
        place += f", RA {found['ra_deg']:.5f}°, Dec {found['dec_deg']:+.5f}° (ICRS)"
    if found["class_name"]:
        place += f"; looks like {literal(found['class_name'])}"
        place += f" ({number(found['class_probability'])})"
    if found["cluster"]:
        place += f"; in {literal(found['cluster'])}"
    st.caption(place)
    if found["ra_deg"] is not None:
        _on_the_sky(found)


def _on_the_sky(found: Row) -> None:
    """Coordinates to copy, and where others show this place."""
    coordinates, links = st.columns([1, 1], vertical_alignment="center")
    coordinates.code(f"{found['ra_deg']:.6f} {found['dec_deg']:+.6f}", language=None)
    there = sky_links.addresses(found["ra_deg"], found["dec_deg"], None)
    links.markdown(" · ".join(f"[{SERVICES[name]}]({address})" for name, address in there.items()))


def _why(found: Row) -> None:
    """Which methods find it odd, and what speaks for and against that."""
    detection_id = found["detection_id"]
    rows = ask(anomalies.scores, detection_id)
    st.markdown("**Why**")
    judging = [row for row in rows if row["p_value"] is not None and row["method"] != "combined"]
    if judging:
        rate = json.loads(found["policy"] or "{}").get("false_positive_rate", ODD_RATE)
        odd = [literal(row["method"]) for row in judging if row["p_value"] <= rate]
        words = ", ".join(odd) if odd else "none"
        st.markdown(
            f"{len(odd)} of {len(judging)} methods find it odd at p ≤ {rate:g}: {words}. "
            f"Cosmic rays hold {number(found['cosmic_ray_share'])} of its flux."
        )
    judged = ask(evidence_pages.evidence, detection_id)
    if judged:
        show_evidence(found, judged)
    _scores(rows)


def _scores(rows: list[Row]) -> None:
    if not rows:
        return
    st.markdown("**Scores** (higher is more anomalous; compare percentiles, not raw values)")
    table(
        rows,
        {
            "method": "method",
            "raw": measured("raw", ".4g"),
            "percentile": measured("percentile", ".2f"),
            "p_value": measured("p-value", ".4f"),
        },
        key="scores",
        alt="Every method's score of this detection",
    )


def _labels(detection_id: str) -> None:
    log = ask(anomalies.label_log, detection_id)
    said = [row for row in log if row["current"]]
    words = "; ".join(
        f"{literal(row['labeller'])}: **{row['label']}**, {age(row['labelled_at'])}" for row in said
    )
    st.markdown(f"**People say** {words or 'nothing yet'}")
    if len(log) > len(said):
        with st.expander(f"All {len(log)} entries of the log, undone ones too"):
            table(
                log,
                {
                    "labelled_at": moment("said"),
                    "labeller": "who",
                    "label": "label",
                    "comment": "comment",
                    "current": "holds",
                },
                key="label_log",
                alt="Everything people said about this detection",
            )


def _catalogues(found: Row) -> None:
    st.markdown("**Catalogues**")
    answers = ask(catalogues.answers, found["detection_id"])
    for row in answers:
        line = f"{literal(row['service'])}: **{ANSWERS[row['answer']]}**"
        if row["object_name"]:
            line += (
                f", {literal(row['object_name'])} ({literal(row['object_type'])}) at "
                f"{row['separation_arcsec']:.2f}″"
            )
        if row["reason"]:
            line += f" ({literal(row['reason'])})"
        st.markdown(f"{line}, radius {row['radius_arcsec']:g}″, {age(row['asked_at'])}")
    if not answers:
        st.caption("No catalogue was asked yet, so nothing is known about it either way.")
    if found["ra_deg"] is None:
        st.caption("This frame has no sky coordinates: catalogues cannot be asked.")
        return
    key = f"crossref_{found['detection_id']}"
    st.session_state.setdefault(key, uuid.uuid4().hex)
    st.button(
        "Ask the catalogues" + (" again" if answers else ""),
        on_click=_ask_catalogues,
        args=(found["detection_id"], st.session_state[key]),
    )
    asked = st.session_state.get("crossref_request")
    if asked and asked[0] == found["detection_id"]:
        follow(asked[1])


def _ask_catalogues(detection_id: str, request_id: str) -> None:
    payload = {"detection_id": detection_id}
    try:
        owner().enqueue("crossref", payload, request_id=request_id, asked_by="dashboard")
    except (JobError, StoreError) as error:
        failure(error)
        return
    st.session_state["crossref_request"] = (detection_id, request_id)
    st.session_state.pop(f"crossref_{detection_id}", None)


def _neighbours(detection_id: str) -> None:
    examples: dict[str, list[str]] = st.session_state.setdefault(
        f"examples_{detection_id}", {"more": [], "less": []}
    )
    near = ask(
        evidence_pages.similar, detection_id, 6, more=examples["more"], less=examples["less"]
    )
    if not near and not any(examples.values()):
        return
    st.markdown("**Nearest in the embedding** (cosine similarity)")
    _say_examples(examples)
    gallery = st.grid(6, min_column_width=120)
    for row in near:
        with gallery.cell():
            pictures.show_cutout(row["cutout_file"], f"{row['similarity']:.3f}", name_of(row))
            st.page_link(
                "views/anomalies.py",
                label=row["verdict"].replace("_", " "),
                query_params={"detection": row["detection_id"]},
            )
            for side in examples:
                st.button(
                    f"{side.capitalize()} like this",
                    key=f"{side}_{detection_id}_{row['detection_id']}",
                    type="tertiary",
                    on_click=examples[side].append,
                    args=(row["detection_id"],),
                )


def _say_examples(examples: dict[str, list[str]]) -> None:
    """How many examples steer the search, and a way back."""
    if not any(examples.values()):
        return
    st.caption(
        f"Steered by {len(examples['more'])} more and {len(examples['less'])} less like them; "
        "those are left out."
    )

    def start_over() -> None:
        for chosen in examples.values():
            chosen.clear()

    st.button("Start over", key="examples_start_over", on_click=start_over)
