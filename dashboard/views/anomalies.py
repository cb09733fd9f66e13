"""Anomalies: the ranked detections, and one of them in full."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.anomaly_list import state
from dashboard.anomaly_list.explorer import explorer
from dashboard.detail import show_detection
from dashboard.evidence import show_expired
from dashboard.figures import count, literal
from dashboard.states import empty
from db.queries import anomalies, catalogues

Row = dict[str, Any]


def show() -> None:
    """Lay the page out: one detection when the address names it, else the list."""
    st.title("Anomalies")
    owner()
    detection_id = st.query_params.get("detection")
    if detection_id:
        _one(detection_id)
        return
    found = ask(anomalies.verdict_counts)
    if not found:
        empty("detections")
        return
    if wrong := state.restore():
        st.error(f"This address cannot be read: {literal(wrong)}")
    _totals(found)
    show_expired()
    explorer()


def _one(detection_id: str) -> None:
    # A link from this very page sets the parameter but not the browser's address; this does.
    st.query_params["detection"] = detection_id
    if st.button("All detections", icon=":material/arrow_back:"):
        st.query_params.from_dict(state.shown().address)
        st.rerun()
    found = ask(anomalies.detection, detection_id)
    if found is None:
        st.error(f"No detection {literal(detection_id)} in this store.")
        return
    show_detection(found)


def _totals(found: list[Row]) -> None:
    numbers = {row["verdict"]: row["n"] for row in found}
    said = ask(anomalies.label_counts)
    known = ask(catalogues.summary)
    cards = st.grid(4)
    cards.metric("Detections", count(sum(numbers.values())), border=True, height="stretch")
    cards.metric("Candidates", count(numbers.get("candidate", 0)), border=True, height="stretch")
    cards.metric("Not labelled", count(said["unlabelled"]), border=True, height="stretch")
    cards.metric(
        "Absent from every catalogue",
        count(known["no_match"]),
        border=True,
        height="stretch",
        help=f"{known['match']} matched, {known['not_determined']} not determined, "
        f"{known['not_asked']} not asked. A service that failed proves nothing.",
    )
    if apart := numbers.get("artefact", 0):
        st.caption(
            f"{count(apart)} of them are kept apart as artefacts: behind everything else, under "
            "the verdict “artefact”, each with its reason."
        )


show()
