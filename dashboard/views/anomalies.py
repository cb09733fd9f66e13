"""Anomalies: the ranked detections, and one of them in full."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import charts, pictures
from dashboard.access import ask, owner
from dashboard.detail import show_detection
from dashboard.evidence import flare_table, show_claims
from dashboard.figures import count, literal, name_of, number
from dashboard.states import empty
from dashboard.tables import measured, moment, table
from db.queries import anomalies, catalogues, evidence, frames

Row = dict[str, Any]
PER_PAGE = 24
VERDICTS = ("candidate", "near_miss", "uncertain", "normal", "artefact")
LABELS = ("unlabelled", "accept", "reject", "unsure")


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
    _totals(found)
    show_claims()
    filters = _facets()
    page = ask(anomalies.page_of_detections, limit=PER_PAGE, cursor=_cursor(filters), **filters)
    if not page.rows:
        st.info("No detection fits these filters. Take one away.")
        return
    names = ["Gallery", "Table", "Distributions", "Flares"]
    gallery, as_table, distributions, flares = st.tabs(names)
    with gallery:
        _gallery(page.rows)
    with as_table:
        _table(page.rows)
    with distributions:
        _distributions(found)
    with flares:
        _flares()
    _turn(page.next)


def _one(detection_id: str) -> None:
    # A link from this very page sets the parameter but not the browser's address; this does.
    st.query_params["detection"] = detection_id
    if st.button("All detections", icon=":material/arrow_back:"):
        del st.query_params["detection"]
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


def _facets() -> dict[str, Any]:
    columns = st.columns([2, 2, 2, 3])
    with columns[0]:
        verdict = st.selectbox(
            "Machine's verdict",
            VERDICTS,
            index=None,
            placeholder="any",
            format_func=lambda name: name.replace("_", " "),
            key="verdict",
            bind="query-params",
        )
    with columns[1]:
        source = st.selectbox(
            "Source", ask(frames.sources), index=None, placeholder="any", key="source"
        )
    with columns[2]:
        label = st.selectbox(
            "People's label",
            LABELS,
            index=None,
            placeholder="any",
            key="label",
            bind="query-params",
        )
    with columns[3]:
        text = st.text_input(
            "Text", placeholder="in object, class or reason", key="text", bind="query-params"
        )
    return {"verdict": verdict, "source": source, "label": label, "text": text or None}


def _cursor(filters: dict[str, str | None]) -> str | None:
    """Return where the page on screen begins; other filters begin again at the top."""
    if st.session_state.get("detections_filters") != filters:
        st.session_state["detections_filters"] = filters
        st.session_state["detections_cursors"] = []
    cursors: list[str] = st.session_state["detections_cursors"]
    return cursors[-1] if cursors else None


def _gallery(rows: list[Row]) -> None:
    cells = st.grid(6, min_column_width=140)
    for row in rows:
        with cells.cell():
            pictures.show_cutout(
                row["cutout_file"],
                f"p = {number(row['p_value'])}, {_said(row)}",
                f"cutout of {name_of(row)}",
            )
            st.page_link(
                "views/anomalies.py",
                label=row["verdict"].replace("_", " "),
                icon=":material/open_in_new:",
                query_params={"detection": row["detection_id"]},
            )


def _said(row: Row) -> str:
    """Say in a few words what people said."""
    words = {"accept": row["accepts"], "reject": row["rejects"], "unsure": row["unsures"]}
    return ", ".join(f"{n} {word}" for word, n in words.items() if n) or "no label"


def _table(rows: list[Row]) -> None:
    table(
        [row | {"link": f"/anomalies?detection={row['detection_id']}"} for row in rows],
        {
            "link": st.column_config.LinkColumn("open", display_text="open"),
            "object_id": "object",
            "verdict": "machine's verdict",
            "p_value": measured("p-value", ".4f"),
            "accepts": "accept",
            "rejects": "reject",
            "unsures": "unsure",
            "snr": measured("S/N", ".1f"),
            "class_name": "class",
            "cosmic_ray_share": measured("cosmic-ray share", ".2f"),
            "ra_deg": measured("RA (°)", ".5f"),
            "dec_deg": measured("Dec (°)", ".5f"),
            "reason": "reason",
            "model": "model",
            "detected_at": moment("found"),
        },
        key="detections",
        alt="The detections that fit the filters, most anomalous first",
    )


def _distributions(found: list[Row]) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        charts.show(charts.verdicts(found), "All current detections, whatever the filters.")
    with right:
        charts.show(
            charts.p_values(ask(anomalies.p_values)),
            "If every detection were normal, the bars would reach the dashed line evenly. "
            "An excess at the left is what was found.",
        )


def _flares() -> None:
    rows = ask(evidence.transients)
    if not rows:
        st.caption("No target-pixel series was read yet, or nothing in them flared up.")
        return
    st.caption("Groups of pixels that brightened beyond their noise for a few cadences.")
    flare_table(rows, key="all_transients")


def _turn(next_cursor: str | None) -> None:
    cursors: list[str] = st.session_state["detections_cursors"]
    first = len(cursors) * PER_PAGE + 1
    back, where, on = st.columns([1, 3, 1])
    back.button(
        "Previous", disabled=not cursors, on_click=_previous, icon=":material/chevron_left:"
    )
    where.caption(
        f"From number {first} on, most anomalous first (p-value, then rank score), artefacts last."
    )
    on.button(
        "Next",
        disabled=next_cursor is None,
        on_click=_next,
        args=(next_cursor,),
        icon=":material/chevron_right:",
    )


def _previous() -> None:
    st.session_state["detections_cursors"].pop()


def _next(cursor: str) -> None:
    st.session_state["detections_cursors"].append(cursor)


show()
