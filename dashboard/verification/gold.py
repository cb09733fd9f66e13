"""Gold items: what they measure, which they are, and how more are made."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import count, name_of
from dashboard.paging import Pager
from dashboard.progress import follow
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db import gold
from db.errors import StoreError
from db.labels import KINDS
from jobs.errors import JobError

Row = dict[str, Any]
PER_PAGE = 25


def show_gold(labeller: str) -> None:
    """Show what gold says of people and machine, the items page by page, and the forms for more."""
    st.subheader("Gold")
    items = ask(gold.gold_count)
    st.caption(
        f"{count(items)} gold items: injected anomalies and normals of simulated nights, and what "
        "experts settled. Completeness is the share of true finds that were accepted, purity the "
        "share of accepted ones that are true."
    )
    if items:
        _measures()
        _items()
    _make_gold(labeller)


def _measures() -> None:
    left, right = st.columns(2)
    with left:
        table(
            ask(gold.labellers_by_gold),
            {
                "labeller": "labeller",
                "judged": "judged",
                "completeness": measured("completeness", ".2f"),
                "purity": measured("purity", ".2f"),
                "same_kind": measured("same kind", ".2f"),
            },
            key="gold_people",
            alt="Completeness and purity of each labeller",
        )
    with right:
        table(
            ask(gold.pipeline_by_gold),
            {
                "night": st.column_config.DateColumn("night"),
                "source": "source",
                "items": "items",
                "completeness": measured("completeness", ".2f"),
                "purity": measured("purity", ".2f"),
            },
            key="gold_nights",
            alt="Completeness and purity of the pipeline's candidates by night",
        )


def _items() -> None:
    pager = Pager("gold_items", None, PER_PAGE)
    page = ask(gold.gold_items, limit=PER_PAGE, cursor=pager.cursor)
    table(
        [
            row | {"name": name_of(row), "open": f"/anomalies?detection={row['detection_id']}"}
            for row in page.rows
        ],
        {
            "open": st.column_config.LinkColumn("open", display_text="open"),
            "name": "object",
            "kind": "truth",
            "verdict": "machine",
            "judged": "people who judged it",
            "same_kind": "called it so",
            "origin": "origin",
            "set_by": "set by",
            "set_at": moment("set"),
        },
        key="gold_items",
        alt="Gold items, the newest first",
    )
    pager.turn(page.next, "newest first")


def _make_gold(labeller: str) -> None:
    nights = [
        row["source"]
        for row in owner().store.rows(
            "SELECT DISTINCT source FROM observations WHERE source LIKE 'sim:%' ORDER BY source"
        )
    ]
    left, right = st.columns(2)
    with left.form("gold_of_night"):
        source = st.selectbox("Injections of a simulated night", nights, placeholder="none scanned")
        if st.form_submit_button("Make gold of its truth", disabled=not nights) and source:
            _ask_for_gold(source, labeller)
    with right.form("gold_of_expert"):
        named = st.text_input("A detection whose kind is certain", placeholder="its id")
        kind = st.selectbox("Its kind", [name for name in KINDS if name != "unsure"])
        if st.form_submit_button("Make it gold") and named.strip():
            try:
                owner().labelling.set_gold(
                    [(named.strip(), kind)], origin="expert", set_by=labeller
                )
            except StoreError as error:
                failure(error)
            else:
                st.rerun()
    asked = st.session_state.get("gold_request")
    if asked:
        follow(asked)


def _ask_for_gold(source: str, labeller: str) -> None:
    request_id = uuid.uuid4().hex
    try:
        owner().enqueue("gold", {"source": source}, request_id=request_id, asked_by=labeller)
    except (JobError, StoreError) as error:
        failure(error)
        return
    st.session_state["gold_request"] = request_id
