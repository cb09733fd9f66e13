"""Learning on the Jobs page: how each training did, which model ranks, one click back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.access import ask, owner
from dashboard.figures import age, count
from dashboard.tables import measured, moment, table
from db import learning

Row = dict[str, Any]
Try = Callable[[Callable[[], object]], None]
FIGURES = {
    "accuracy": "accuracy",
    "near_ood_auroc": "AUROC of the near misses",
    "calibration_error": "calibration error",
    "agreement": "agreement (kappa)",
}


def show_learning(attempt: Try) -> None:
    """Lay the section out; `attempt` carries a write out and keeps its error for the page."""
    st.subheader("Learning from labels")
    history = ask(learning.training_history)
    current = ask(learning.current_model)
    any_left, before = ask(learning.model_before)
    text, refit, back = st.columns([7, 1.5, 1.5], vertical_alignment="center")
    names = {row["model_digest"]: f"the training of {age(row['started_at'])}" for row in history}
    holds = "nothing learned yet: lists go by p-value" if current is None else names.get(current)
    text.markdown(f"The ranking in use: **{holds or 'a model of an earlier store'}**.")
    refit.button("Learn now", key="learn_now", on_click=_learn, args=(attempt,))
    back.button(
        "Roll back",
        key="roll_back",
        disabled=not any_left,
        help="The numbers of the ranking before hold again, as they were.",
        on_click=_roll_back,
        args=(uuid.uuid4().hex, attempt),
    )
    if not history:
        st.caption(
            f"A training needs {count(owner().settings.learn_least_labels)} labelled detections. "
            "Its model is promoted only if it is not worse on labels that were held out."
        )
        return
    if any_left and before is not None:
        st.caption(f"Before it: {names.get(before, 'a model of an earlier store')}.")
    _history(history)
    _changes(history[0], current)


def _history(history: list[Row]) -> None:
    rows = [row | _challenger(row) for row in history]
    points = [
        {"when": row["started_at"], "figure": FIGURES[name], "value": row[name]}
        for row in rows
        for name in FIGURES
        if row.get(name) is not None
    ]
    if len(rows) > 1 and points:
        chart = (
            alt.Chart(pd.DataFrame(points))
            .mark_line(point=True)
            .encode(
                x=alt.X("when:T", title="training"),
                y=alt.Y("value:Q", title="on held-out labels"),
                color=alt.Color("figure:N", title=None),
                tooltip=["when:T", "figure:N", alt.Tooltip("value:Q", format=".3f")],
            )
        )
        charts.show(chart, "How the challenger of each training did on held-out labels.")
    table(
        rows,
        {
            "started_at": moment("started"),
            "status": "outcome",
            **{name: measured(title, ".3f") for name, title in FIGURES.items()},
            "reason": "why",
        },
        key="trainings",
        alt="The trainings with their figures on held-out labels and what became of each",
    )


def _challenger(row: Row) -> Row:
    metrics = json.loads(row["metrics"] or "{}")
    return {name: (metrics.get(name) or {}).get("challenger") for name in FIGURES}


def _changes(newest: Row, current: str | None) -> None:
    """Who enters and who leaves the list by the newest training, compared with what it met."""
    changes = ask(learning.list_changes, newest["champion_digest"], newest["model_digest"], 50)
    word = "did" if newest["model_digest"] == current else "would"
    with st.expander(f"Who {word} enter and leave the first 50: {count(len(changes))} changes"):
        if not changes:
            st.caption("Nobody: the first 50 stay the same.")
            return
        table(
            changes,
            {
                "change": "change",
                "source": "source",
                "object_id": "object",
                "verdict": "machine's verdict",
                "p_value": measured("p-value", ".4f"),
                "before": "place before",
                "after": "place after",
            },
            key="list_changes",
            alt="Detections that enter or leave the first fifty",
        )


def _learn(attempt: Try) -> None:
    payload = {"role": learning.INTEREST}
    request_id = uuid.uuid4().hex
    attempt(lambda: owner().enqueue("learn", payload, request_id=request_id, asked_by="dashboard"))


def _roll_back(choice_id: str, attempt: Try) -> None:
    attempt(lambda: owner().roll_back(learning.INTEREST, "dashboard", choice_id=choice_id))
