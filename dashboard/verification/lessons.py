"""What the labels taught: the newest rankings, what each changed, what each batch brought."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import age, literal, name_of, number
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db import ranking
from jobs.errors import JobError

Row = dict[str, Any]
TOP = 20
WORDS = {"enters": "entered", "leaves": "left", "rises": "rose", "falls": "fell"}


def show_lessons() -> None:
    """Say what the newest ranking learned, and what it changed."""
    settings = owner().settings
    newest = ask(ranking.latest)
    st.caption(
        f"After every {settings.label_batch} labels the ranking is fitted anew. A batch is "
        f"{1 - settings.label_explore - settings.label_calibrate:.0%} exploit (most interesting), "
        f"{settings.label_explore:.0%} explore (least like anything labelled) and "
        f"{settings.label_calibrate:.0%} calibrate (drawn from the {settings.label_held_out:.0%} "
        "of frames, chosen by their hash, that nothing is fitted on). Change it with "
        "`skysieve configure label_explore 0.2`."
    )
    st.button("Rank anew now", on_click=_rank, icon=":material/refresh:")
    if "ranking_error" in st.session_state:
        failure(st.session_state.pop("ranking_error"))
    if newest is None:
        st.info("No ranking yet: open the queue “Most interesting”, or label a batch.")
        return
    cards = st.grid(4)
    cards.metric("Ranking", newest["number"], border=True, help=age(newest["made_at"]))
    cards.metric("Learned from", f"{newest['labelled']} labels", border=True,
                 help=f"{newest['liked']} of them accepted")  # fmt: skip
    cards.metric(
        "Held-out labels", newest["held_out"], border=True,
        help="They only measure the ranking: nothing is fitted on their frames.",
    )  # fmt: skip
    cards.metric(
        "ROC-AUC on them", number(newest["held_out_auc"]), border=True,
        help="Chance that an accepted one stands above a rejected one; 0.5 is chance.",
    )  # fmt: skip
    _changes()
    _batches()
    st.markdown("**All rankings**")
    table(
        ask(ranking.rankings),
        {
            "number": "ranking",
            "cause": "cause",
            "candidates": "candidates",
            "labelled": "labels",
            "liked": "accepted",
            "held_out": "held out",
            "held_out_auc": measured("ROC-AUC", ".3f"),
            "duration_s": measured("took, s", ".2f"),
            "made_at": moment("made"),
        },
        key="rankings",
        alt="Every ranking that was fitted",
    )


def _changes() -> None:
    changes = ask(ranking.changes, TOP)
    st.markdown(f"**What changed among the first {TOP}**")
    if not changes:
        st.caption("Nothing, against the ranking before.")
        return
    counts = {word: sum(row["change"] == change for row in changes)
              for change, word in WORDS.items()}  # fmt: skip
    st.markdown(", ".join(f"{number} {word}" for word, number in counts.items() if number) + ".")
    table(
        [row | {"name": name_of(row), "change": WORDS[row["change"]]} for row in changes],
        {
            "change": "change",
            "name": "object",
            "before": "place before",
            "after": "place now",
            "interest": measured("interest", ".3f"),
            "verdict": "machine",
        },
        key="ranking_changes",
        alt="Places before and after the newest ranking",
    )


def _batches() -> None:
    rows = ask(ranking.yields)
    words = [
        f"{literal(row['reason'])}: {row['accepted']} accepted of {row['labelled']} labelled "
        f"({row['offered']} offered)"
        for row in rows
    ]
    if words:
        st.caption("The two newest batches: " + "; ".join(words) + ".")


def _rank() -> None:
    try:
        owner().labelling.ranker.ask("asked").result(30)
    except (JobError, TimeoutError) as error:
        st.session_state["ranking_error"] = error
