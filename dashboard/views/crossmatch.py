"""Cross-match: what the catalogues know of each detection, and what is still to be asked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import sky_links
from dashboard.access import ask, owner
from dashboard.anomaly_list.words import STATES, VERDICTS
from dashboard.figures import age, count, literal
from dashboard.paging import Pager
from dashboard.progress import follow
from dashboard.states import empty, failure
from dashboard.tables import TALLEST, measured, table
from db.errors import StoreError
from db.queries import anomalies, catalogues
from jobs.errors import JobError
from jobs.regions import ds9_regions

Row = dict[str, Any]
PER_PAGE = 100
COVERAGE = {"whole_sky": "whole sky", "footprint": "its footprint", "moving": "what moves, by date"}


def show() -> None:
    """Lay the page out."""
    st.title("Cross-match")
    owner()
    _say_error()
    if not ask(anomalies.verdict_counts):
        empty("detections", "What is detected on a frame with sky coordinates can be looked up.")
        return
    summary, services = ask(catalogues.summary), ask(catalogues.services)
    _cards(summary)
    _rule(services)
    _services(services)
    _objects(summary)


def _cards(summary: Row) -> None:
    cards = st.grid(4)
    waiting, open_ = summary["waiting"], summary["not_determined"]
    facts = (
        ("Known", summary["match"], "Some catalogue lists an object within the search radius."),
        (
            "Unknown",
            summary["no_match"],
            "Every configured service answered for that place, and none lists an object there.",
        ),
        (
            "Not determined",
            open_,
            f"{count(waiting)} will be asked again. {count(open_ - waiting)} cannot be settled: "
            "they lie outside a survey's coverage, or their image has no date.",
        ),
        (
            "Not asked",
            summary["not_asked"],
            f"{count(summary['without_position'])} of them have no place on the sky.",
        ),
    )
    for label, number, text in facts:
        cards.metric(label, count(number), border=True, height="stretch", help=text)


def _rule(services: list[Row]) -> None:
    counted = [literal(row["title"]) for row in services if row["counted"]]
    if counted:
        st.caption(
            f"Unknown takes an answer from each of {len(counted)} services: {', '.join(counted)}. "
            "One that failed, or has never looked there, proves nothing."
        )


def _services(services: list[Row]) -> None:
    if not services:
        return
    st.subheader("Services")
    table(
        [
            {
                **row,
                "covers": COVERAGE.get(row["coverage"] or "", "not stated"),
                "last_answer_said": "never"
                if row["last_answer_at"] is None
                else age(row["last_answer_at"]),
                "trouble": row["last_reason"] if row["current_trouble"] else "",
            }
            for row in services
        ],
        {
            "title": "service",
            "covers": "covers",
            "current_match": "known",
            "current_no_match": "nothing there",
            "current_trouble": st.column_config.NumberColumn(
                "failed", help="did not answer: asked again when it is back"
            ),
            "current_outside_coverage": st.column_config.NumberColumn(
                "outside", help="the place is outside its coverage or at its edge"
            ),
            "current_no_date": st.column_config.NumberColumn(
                "no date", help="what moves can only be looked up with a date"
            ),
            "last_answer_said": "last answer",
            "trouble": "why it failed",
        },
        key="services",
        alt="What each service answers about the current detections",
    )


@st.fragment
def _objects(summary: Row) -> None:
    """The list and what can be asked of it: its facets draw it anew, not the page."""
    st.subheader("Objects")
    filters = _facets()
    pager = Pager("objects", filters, PER_PAGE)
    page = ask(catalogues.page_of_objects, limit=PER_PAGE, cursor=pager.cursor, **filters)
    if not page.rows:
        st.info("No object with a place on the sky fits these filters. Take one away.")
        _actions([], summary, filters, any_here=False)
        return
    selected = _table(page.rows)
    _actions(selected, summary, filters, any_here=True)
    pager.turn(page.next, "most anomalous first, artefacts last")


def _facets() -> dict[str, str | None]:
    state, verdict, text = st.columns([4, 2, 3])
    with state:
        chosen = st.segmented_control(
            "What is known",
            list(STATES),
            format_func=STATES.__getitem__,
            key="known",
            bind="query-params",
        )
    with verdict:
        judged = st.selectbox(
            "Machine's verdict",
            VERDICTS,
            index=None,
            placeholder="any",
            format_func=lambda name: name.replace("_", " "),
            key="crossmatch_verdict",
        )
    with text:
        words = st.text_input(
            "Text", placeholder="in the object's name, or the nearest one's", key="crossmatch_text"
        )
    return {"state": chosen, "verdict": judged, "text": words or None}


def _table(rows: list[Row]) -> list[str]:
    """Show the objects; return the ids of those selected."""
    shown = [
        {
            "known": STATES[row["state"]],
            "object": row["object_id"] or row["frame_digest"][:12],
            "verdict": row["verdict"].replace("_", " "),
            "nearest": row["object_name"],
            "type": row["object_type"],
            "separation_arcsec": row["separation_arcsec"],
            "chance": row["chance"],
            "in": row["nearest_in"],
            "answered": f"{row['answered']} of {row['services']}" if row["services"] else "",
            "age": age(row["oldest_at"]) if row["oldest_at"] else "",
            "open": f"/anomalies?detection={row['detection_id']}",
            **sky_links.addresses(row["ra_deg"], row["dec_deg"], row["radius_arcsec"]),
            "ra_deg": row["ra_deg"],
            "dec_deg": row["dec_deg"],
            "why": row["reason"],
        }
        for row in rows
    ]
    event = st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "known": "state",
            "separation_arcsec": measured("separation (″)", ".2f"),
            "chance": measured(
                "by chance",
                ".2g",
                "Probability that an unrelated object lies as near, from the density around it",
            ),
            "age": st.column_config.TextColumn("age", help="of the oldest answer that counts"),
            "open": st.column_config.LinkColumn("detection", display_text="open"),
            "simbad": st.column_config.LinkColumn("SIMBAD", display_text="look"),
            "ned": st.column_config.LinkColumn("NED", display_text="look"),
            "aladin": st.column_config.LinkColumn("Aladin", display_text="look"),
            "ra_deg": measured("RA (°)", ".5f"),
            "dec_deg": measured("Dec (°)", ".5f"),
            "why": "why not determined",
        },
        key="objects",
        alt="Detections with a place on the sky and what the catalogues know there",
        on_select="rerun",
        selection_mode="multi-row",
        placeholder="–",
        height="auto" if len(rows) <= TALLEST else 35 * (TALLEST + 1),
    )
    chosen = event.selection.rows if event else []
    return [rows[at]["detection_id"] for at in chosen if at < len(rows)]


def _actions(
    selected: list[str], summary: Row, filters: dict[str, str | None], *, any_here: bool
) -> None:
    named, everything, regions = st.columns([3, 3, 2], vertical_alignment="bottom")
    for key in ("crossmatch_named", "crossmatch_open"):
        st.session_state.setdefault(key, uuid.uuid4().hex)
    named.button(
        f"Ask again about the {len(selected)} selected" if selected else "Select rows to ask again",
        disabled=not selected,
        key="ask_selected",
        on_click=_ask,
        args=("crossmatch_named", {"detection_ids": selected}),
        width="stretch",
    )
    everything.button(
        f"Ask again about all {count(summary['waiting'])} that wait",
        disabled=not summary["waiting"],
        key="ask_open",
        on_click=_ask,
        args=("crossmatch_open", {"open": True}),
        width="stretch",
    )
    store = owner().store
    regions.download_button(
        "DS9 regions",
        lambda: ds9_regions(
            catalogues.regions(store, state=filters["state"], verdict=filters["verdict"])
        ),
        file_name="skysieve.reg",
        mime="text/plain",
        icon=":material/download:",
        disabled=not any_here,
        help="The places of this state and verdict: green known, red unknown, yellow not "
        "determined, white not asked",
        width="stretch",
    )
    if request_id := st.session_state.get("crossmatch_request"):
        follow(request_id)


def _ask(key: str, payload: Mapping[str, Any]) -> None:
    request_id = st.session_state[key]
    try:
        owner().enqueue("crossref", payload, request_id=request_id, asked_by="dashboard")
    except (JobError, StoreError) as error:
        st.session_state["crossmatch_error"] = error
        return
    st.session_state["crossmatch_request"] = request_id
    st.session_state.pop(key)


def _say_error() -> None:
    if "crossmatch_error" in st.session_state:
        failure(st.session_state.pop("crossmatch_error"))


show()
