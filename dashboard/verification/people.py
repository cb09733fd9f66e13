"""The labellers: pace, agreement, consensus and adjudication, and what gold says of each."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import count, literal, name_of, number
from dashboard.progress import follow
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db import gold
from db.errors import StoreError
from db.labels import KINDS
from db.queries import agreement
from jobs.agreement import agreement_of
from jobs.errors import JobError

Row = dict[str, Any]


def show_people(labeller: str) -> None:
    """Show who labelled what, how far they agree, and how right they are."""
    people = ask(agreement.labellers)
    if not people:
        st.info("Nobody has labelled anything yet.")
        return
    st.subheader("Labellers")
    table(
        people,
        {
            "labeller": "labeller",
            "labels": "labels",
            "accept": "accept",
            "reject": "reject",
            "unsure": "unsure",
            "blind": st.column_config.NumberColumn("blind", help="machine scores were hidden"),
            "undone": "taken back",
            "median_s": measured("median, s", ".1f"),
            "slow_s": measured("slowest tenth, s", ".1f"),
            "last_at": moment("last"),
        },
        key="people",
        alt="Labels and pace of each labeller",
    )
    _agreement()
    _consensus()
    _gold(labeller)


def _agreement() -> None:
    st.subheader("Agreement")
    found = ask(agreement_of)
    together = found["all"]
    if together is None:
        st.caption("No detection has labels of two people yet, so nobody can agree.")
        return
    st.markdown(
        f"Fleiss' kappa over {count(together['items'])} detections with {together['labels_each']} "
        f"labels each: **{number(together['kappa'])}** ({together['observed']:.0%} agree, "
        f"{together['expected']:.0%} would by chance)."
    )
    table(
        [pair | {"differing": len(pair["differ"])} for pair in found["pairs"]],
        {
            "labeller": "labeller",
            "other": "and",
            "items": "both judged",
            "kappa": measured("Cohen's kappa", ".3f"),
            "observed": measured("agree", ".2f"),
            "expected": measured("by chance", ".2f"),
            "differing": "differ on",
        },
        key="pairs",
        alt="Cohen's kappa of every pair of labellers",
    )
    for pair in found["pairs"]:
        if pair["differ"]:
            links = ", ".join(
                f"[{one[:8]}](/anomalies?detection={one})" for one in pair["differ"][:12]
            )
            both = f"{literal(pair['labeller'])} and {literal(pair['other'])}"
            st.caption(f"{both} differ on {links}")


def _consensus() -> None:
    st.subheader("Consensus")
    rule = owner().labelling.rule
    counts = ask(agreement.standing_counts, rule)
    st.markdown(
        f"Agreed once {rule.least_votes} accept or reject and {rule.share:.0%} of them say the "
        f"same; retired then, or after {rule.most_votes} labels. An adjudication settles. "
        f"**{counts['agreed']}** agreed, **{counts['settled']}** settled, "
        f"**{counts['disputed']}** disputed, {counts['exhausted']} exhausted, "
        f"{counts['open']} open."
    )
    if counts["disputed"]:
        st.markdown("[Settle the disputes](/verify?queue=adjudication)")
    table(
        [row | {"name": name_of(row)} for row in ask(agreement.standing_of, rule, None, 100)],
        {
            "name": "object",
            "state": "state",
            "accepts": "accept",
            "rejects": "reject",
            "said": "who said what",
            "verdict": "machine",
            "last_at": moment("last label"),
        },
        key="standing",
        alt="Votes and state of each labelled detection",
    )


def _gold(labeller: str) -> None:
    st.subheader("Gold")
    items = ask(gold.gold_items)
    st.caption(
        f"{len(items)} gold items: injected anomalies and normals of simulated nights, and what "
        "experts settled. Completeness is the share of true finds that were accepted, purity the "
        "share of accepted ones that are true."
    )
    if items:
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
    _make_gold(labeller)


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
