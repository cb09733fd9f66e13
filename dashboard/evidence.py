"""Evidence on a detection's page: versions of its frame, nuisances, artefacts, series, copies."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import pictures
from dashboard.access import ask
from dashboard.figures import UNKNOWN, count, literal, name_of, number
from dashboard.states import nothing
from dashboard.tables import measured, moment, table
from db.queries import evidence, jobs

Row = dict[str, Any]
VERSION_NAMES = {
    "raw": "raw, as it came",
    "cleaned": "without cosmic rays",
    "decoded": "decoded from the codec's bytes",
}


def show_evidence(found: Row, judged: Row) -> None:
    """Show what speaks for and against a detection beside its scores."""
    cards = st.grid(4, min_column_width=110)
    cards.metric(
        "p among its size",
        number(judged["conditioned_p_value"]),
        help="p-value among normals of like area: a score that only measures size loses it. "
        "A dash: not fitted for this reference.",
    )
    cards.metric(
        "Artefact probability",
        number(judged["artefact_probability"]),
        help="What the artefact head says, trained on simulated ghosts, trails, hot columns, "
        "bleeding, glows, coder blocks, hits and edges. Outside simulated frames it decides "
        "nothing. A dash: it does not apply.",
    )
    cards.metric("Area", number(judged["area_px"], "px"))
    cards.metric("Magnitude", number(judged["magnitude"]), help="instrumental: -2.5 log10(flux)")
    _caption(found, judged)
    _versions(found["detection_id"])
    _contributions(found["detection_id"])


def _caption(found: Row, judged: Row) -> None:
    words = []
    if judged["artefact_kind"] and (judged["artefact_probability"] or 0) > 0.5:
        words.append(f"looks like a {judged['artefact_kind'].replace('_', ' ')}")
    if judged["vanishes"]:
        words.append("gone once cosmic rays are removed")
    if judged["edge_px"] is not None and judged["edge_px"] < found["size_px"] / 2:
        words.append(f"{judged['edge_px']:.0f} px from the frame's edge")
    if judged["good_share"] < 1:
        words.append(f"{1 - judged['good_share']:.0%} of the cutout masked or beyond the frame")
    if words:
        st.caption(literal("; ".join(words)))


def _versions(detection_id: str) -> None:
    rows = ask(evidence.versions, detection_id)
    if not rows:
        return
    st.markdown("**The same place on other versions of the frame** (combined score)")
    table(
        [row | {"version": VERSION_NAMES[row["version"]]} for row in rows],
        {
            "version": "version",
            "found": "a source there",
            "snr": measured("S/N", ".1f"),
            "statistic": measured("score", ".4g"),
            "percentile": measured("percentile", ".2f"),
            "p_value": measured("p-value", ".4f"),
        },
        key="versions",
        alt="Signal to noise and combined score on the raw, the cleaned and the decoded frame",
    )
    with st.expander("Every method on every version"):
        table(
            ask(evidence.version_scores, detection_id),
            {
                "method": "method",
                "version": "version",
                "raw": measured("raw", ".4g"),
                "percentile": measured("percentile", ".2f"),
                "p_value": measured("p-value", ".4f"),
            },
            key="version_scores",
            alt="Every method's score on every version of the frame",
        )


def _contributions(detection_id: str) -> None:
    rows = ask(evidence.contributions, detection_id)
    if rows:
        shares = ", ".join(f"{literal(row['method'])} {row['share']:.0%}" for row in rows)
        st.caption(f"Shares in the combined score: {shares}")


def show_series(frame_digest: str) -> None:
    """Show the stack, the variability and the flares of the series behind a frame."""
    rows = ask(evidence.products, frame_digest)
    if not rows:
        return
    st.markdown(f"**Time series** of {count(rows[0]['cadences'])} good cadences")
    cells = st.grid(2, min_column_width=160)
    for row in rows:
        with cells.cell():
            pictures.show_cutout(
                row["product_file"], f"{row['kind']}: {literal(row['note'])}", row["kind"]
            )
    flares = ask(evidence.transients, frame_digest)
    if not flares:
        st.caption("No group of pixels brightened beyond its noise for a few cadences.")
        return
    flare_table(flares, key="transients")


def flare_table(flares: list[Row], *, key: str) -> None:
    """List what flared up."""
    table(
        flares,
        {
            "object_id": "object",
            "reason": "reason",
            "first_cadence": "from cadence",
            "last_cadence": "to",
            "start_time": measured("start (days)", ".4f"),
            "x": measured("x (px)", ".1f"),
            "y": measured("y (px)", ".1f"),
            "peak_sigma": measured("peak (sigma)", ".1f"),
        },
        key=key,
        alt="Groups of pixels that brightened beyond their noise",
    )


def show_duplicates(detection_id: str) -> None:
    """Show detections whose pictures are nearly the same."""
    near = ask(evidence.duplicates, detection_id, 6, 6)
    if not near:
        return
    st.markdown("**Nearly the same picture** (perceptual hash, at most 6 of 64 bits differ)")
    gallery = st.grid(6, min_column_width=120)
    for row in near:
        with gallery.cell():
            differ = "1 bit differs" if row["bits"] == 1 else f"{row['bits']} bits differ"
            pictures.show_cutout(row["cutout_file"], differ, name_of(row))
            st.page_link(
                "views/anomalies.py",
                label=row["verdict"].replace("_", " "),
                query_params={"detection": row["detection_id"]},
            )


def show_expired() -> None:
    """Say of which sources the calibration no longer holds."""
    for row in ask(evidence.drift):
        if row["expired"]:
            st.warning(
                f"Calibration expired for {literal(row['source'])}: {literal(row['reason'])}"
            )


def show_nights() -> None:
    """Show what each source's night list may claim, and how often policies really erred."""
    nights = ask(evidence.latest_lists)
    for night in nights:
        title = f"{night['source']}: {night['message']}"
        with st.expander(literal(title), icon=":material/fact_check:", expanded=len(nights) == 1):
            _claims(night)
    if not nights:
        nothing("No cycle has ended with a list yet.")
    _realised()


def _realised() -> None:
    """The realised false-positive rates that simulated nights gave, per policy."""
    rows = ask(jobs.realised_rates)
    if not rows:
        return
    st.markdown("**Realised false-positive rates** (simulated nights, whose truth is known)")
    table(
        rows,
        {
            "source": "source",
            "policy": "policy",
            "message": "what was realised",
            "happened_at": moment("measured"),
        },
        key="realised",
        alt="How often each policy called a normal a candidate on simulated nights",
    )


def _claims(night: Row) -> None:
    st.caption(
        f"Benjamini-Hochberg at a false-discovery rate of {night['rate']:g} over "
        f"{count(night['tested'])} detections; smallest p "
        f"{number(night['smallest_p_value']) or UNKNOWN}, reference calibrated on "
        f"{count(night['calibrated_on'])}."
    )
    rows = ask(evidence.list_rows, night["list_id"])
    if rows:
        table(
            [row | {"link": f"/anomalies?detection={row['detection_id']}"} for row in rows],
            {
                "place": "place",
                "link": st.column_config.LinkColumn("open", display_text="open"),
                "object_id": "object",
                "verdict": "machine's verdict",
                "p_value": measured("p-value", ".4f"),
                "adjusted_p_value": measured("adjusted", ".3f"),
                "is_discovery": "claimed",
            },
            key=f"list_{night['list_id'][:12]}",
            alt="The night's list with Benjamini-Hochberg values",
        )
