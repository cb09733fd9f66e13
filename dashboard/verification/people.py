"""The labellers: pace, agreement, consensus and adjudication, and what gold says of each."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import count, name_of, number
from dashboard.paging import Pager, cut
from dashboard.tables import measured, moment, table
from dashboard.verification.gold import show_gold
from db.consensus import STATES
from db.queries import agreement
from jobs.agreement import agreement_of

Row = dict[str, Any]
PER_PAGE = 25
OPEN = {"open": st.column_config.LinkColumn("open", display_text="open"), "name": "object"}


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
    show_gold(labeller)


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
    pairs = sorted(found["pairs"], key=lambda pair: -len(pair["differ"]))
    pager = Pager("pairs", None, PER_PAGE)
    rows, following = cut(pairs, pager.cursor, PER_PAGE)
    table(
        [pair | {"differing": len(pair["differ"])} for pair in rows],
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
    pager.turn(following, "those who differ most first")
    _differences([pair for pair in pairs if pair["differ"]])


def _differences(pairs: list[Row]) -> None:
    """The detections behind one pair's kappa on which the two differ."""
    if not pairs:
        return
    by_names = {(pair["labeller"], pair["other"]): pair for pair in pairs}
    chosen = st.selectbox(
        "Where they differ",
        list(by_names),
        format_func=lambda both: (
            f"{both[0]} and {both[1]} ({count(len(by_names[both]['differ']))})"
        ),
        key="differing_pair",
    )
    a, b = chosen
    pager = Pager("differences", chosen, PER_PAGE)
    ids, following = cut(by_names[chosen]["differ"], pager.cursor, PER_PAGE)
    table(
        _opening(ask(agreement.said_by_both, tuple(ids), a, b)),
        {
            **OPEN,
            "a_said": a,
            "a_grade": f"{a}'s interest",
            "a_comment": f"{a}'s comment",
            "b_said": b,
            "b_grade": f"{b}'s interest",
            "b_comment": f"{b}'s comment",
            "verdict": "machine",
        },
        key="differences",
        alt="What two labellers say of the detections on which they differ",
    )
    pager.turn(following, "by their id")


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
    state = st.pills(
        "State", STATES, format_func=lambda name: f"{name} {count(counts[name])}",
        key="standing_state", label_visibility="collapsed",
    )  # fmt: skip
    pager = Pager("standing", (state, rule), PER_PAGE)
    page = ask(agreement.standing_of, rule, state, limit=PER_PAGE, cursor=pager.cursor)
    table(
        _opening(page.rows),
        {
            **OPEN,
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
    pager.turn(page.next, "disputed ones first, then what was labelled last")


def _opening(rows: list[Row]) -> list[Row]:
    """The rows with their names and links."""
    return [
        row | {"name": name_of(row), "open": f"/anomalies?detection={row['detection_id']}"}
        for row in rows
    ]
