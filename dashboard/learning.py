"""Learning from labels: how each training did, which model ranks, one click forth and back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, who
from dashboard.access import ask, owner
from dashboard.figures import age, count, literal
from dashboard.progress import ACTIVE, follow
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db import learning
from db.errors import StoreError
from db.requests import get_request
from jobs.errors import JobError

Row = dict[str, Any]
FIGURES = {
    "accuracy": "accuracy",
    "near_ood_auroc": "AUROC of the near misses",
    "calibration_error": "calibration error",
    "agreement": "agreement (kappa)",
}
NOTHING = "nothing learned: lists go by p-value"
OLDER = "a model of an earlier store"
DONE = "learning_done"
LEARNING, CHOOSING = "learn_request", "choice_request"


def show_learning() -> None:
    """Lay the section out."""
    st.subheader("The ranking, learned from labels")
    was_choosing = _is_choosing()
    history = ask(learning.training_history)
    current = ask(learning.current_model)
    names = {row["model_digest"]: f"the training of {age(row['started_at'])}" for row in history}
    _in_use(current, names)
    for name in (LEARNING, CHOOSING):
        if name in st.session_state:
            follow(st.session_state[name])
    if was_choosing and not _is_choosing():
        st.rerun()  # it ended while this page was being drawn, so that what was read is of before
    if not history:
        st.caption(
            f"A training needs {count(owner().settings.learn_least_labels)} labelled detections. "
            "Its model is promoted only if it is not worse on labels that were held out."
        )
        return
    _history(history)
    _challengers(history, current, names)


def say_error() -> None:
    """Say what went wrong with the last promotion, roll-back or training that was asked for."""
    st.session_state.pop(DONE, None)
    if "learning_error" in st.session_state:
        failure(st.session_state.pop("learning_error"))


def _in_use(current: str | None, names: dict[str, str]) -> None:
    any_left, before = ask(learning.model_before)
    text, refit, back = st.columns([6, 1.6, 1.6], vertical_alignment="center")
    holds = NOTHING if current is None else names.get(current, OLDER)
    after = NOTHING if before is None else names.get(before, OLDER)
    text.markdown(f"The ranking in use: **{holds}**.")
    refit.button("Learn now", key="learn_now", on_click=_learn, width="stretch",
                 help="Refits the ranking on the labels; what is better on held-out labels is "
                 "promoted.")  # fmt: skip
    asked = back.button(
        "Roll back", key="ask_roll_back", disabled=not any_left or _is_choosing(), width="stretch"
    )
    if asked and current is not None:
        _confirm_roll_back(current, after)


@st.dialog("Roll back the ranking?")
def _confirm_roll_back(current: str, after: str) -> None:
    st.markdown(
        f"The ranking goes back to **{after}**. Its numbers were kept and hold again, as they "
        "were; no label is lost, and the model can be promoted again."
    )
    st.button(
        "Yes, roll back", key="roll_back", type="primary", on_click=_roll_back,
        args=(current, uuid.uuid4().hex),
    )  # fmt: skip
    _close_when_done()


def _history(history: list[Row]) -> None:
    points = [
        {"when": row["started_at"], "figure": title, "value": figure}
        for row in history
        for name, title in FIGURES.items()
        if (figure := _challenger(row).get(name)) is not None
    ]
    if len(history) > 1 and points:
        charts.show(
            charts.over_time(points, "value", "on held-out labels", "figure", "when"),
            "How the challenger of each training did on labels that were held out; calibration "
            "error is better low, the others high.",
        )
    table(
        [row | _challenger(row) | _champion(row) for row in history],
        {
            "started_at": moment("started"),
            "status": "outcome",
            **{name: measured(title, ".3f") for name, title in FIGURES.items()},
            **{f"{name}_before": measured(f"{title}, model before", ".3f")
               for name, title in FIGURES.items()},
            "reason": "why",
        },
        key="trainings",
        alt="The trainings with their figures on held-out labels and what became of each",
    )  # fmt: skip


def _challengers(history: list[Row], current: str | None, names: dict[str, str]) -> None:
    """What each training would change, and its promotion by hand."""
    made = {row["model_digest"]: row for row in history if row["model_digest"]}
    chosen = st.selectbox(
        "Training to compare and promote", list(made), 0, key="challenger",
        # Two of the same age must not read the same: the browser answers with what it reads.
        format_func=lambda key: f"{names[key]} ({made[key]['status']}, {key[:10]})",
    )  # fmt: skip
    if chosen is None:
        return
    row = made[chosen]
    before = row["champion_digest"] if chosen == current else current
    changes = ask(learning.list_changes, before, chosen, 50)
    word = "did" if chosen == current else "would"
    if st.button(
        "Promote this training", key="ask_promote", disabled=chosen == current or _is_choosing()
    ):
        _confirm_promotion(row, changes)
    with st.expander(f"Who {word} enter and leave the first 50: {count(len(changes))} changes"):
        if not changes:
            st.caption("Nobody: the first 50 stay the same.")
            return
        table(
            [r | {"link": f"/anomalies?detection={r['detection_id']}"} for r in changes],
            {
                "change": "change",
                "link": st.column_config.LinkColumn("detection", display_text="open"),
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


@st.dialog("Promote this training?")
def _confirm_promotion(row: Row, changes: list[Row]) -> None:
    """What a person should know before giving the ranking to a model, and the button."""
    st.markdown(
        f"This training was **{row['status']}**: {literal(row['reason'] or 'no reason was kept')}."
    )
    mine, theirs = _challenger(row), _champion(row)
    figures = [
        {"figure": title, "this": mine[name], "the one before": theirs[f"{name}_before"]}
        for name, title in FIGURES.items()
        if mine.get(name) is not None
    ]
    if figures:
        st.table(pd.DataFrame(figures).set_index("figure").round(3), border="horizontal")
    st.markdown(
        f"{count(len(changes))} detections would enter or leave the first 50. It can be taken "
        "back by *Roll back*."
    )
    st.button(
        "Yes, promote it", key="promote", type="primary", on_click=_promote,
        args=(row["model_digest"], uuid.uuid4().hex),
    )  # fmt: skip
    _close_when_done()


def _challenger(row: Row) -> Row:
    metrics = json.loads(row["metrics"] or "{}")
    return {name: (metrics.get(name) or {}).get("challenger") for name in FIGURES}


def _champion(row: Row) -> Row:
    metrics = json.loads(row["metrics"] or "{}")
    return {f"{name}_before": (metrics.get(name) or {}).get("champion") for name in FIGURES}


def _learn() -> None:
    request_id = uuid.uuid4().hex
    payload = {"role": learning.INTEREST}
    if _try(lambda: owner().enqueue("learn", payload, request_id=request_id, asked_by=_who())):
        st.session_state[LEARNING] = request_id


def _roll_back(current: str, request_id: str) -> None:
    _ask_to_choose("roll_back", current, request_id)


def _promote(digest: str, request_id: str) -> None:
    _ask_to_choose("promote", digest, request_id)


def _ask_to_choose(kind: str, digest: str, request_id: str) -> None:
    """Ask the owner, which first gives the coming model numbers for what it has not seen."""
    payload = {"role": learning.INTEREST, "model_digest": digest}
    if _try(lambda: owner().enqueue(kind, payload, request_id=request_id, asked_by=_who())):
        st.session_state[CHOOSING] = request_id
    st.session_state[DONE] = True


def _is_choosing() -> bool:
    """Whether a promotion or roll-back of this session waits or runs."""
    if CHOOSING not in st.session_state:
        return False
    return get_request(owner().store, st.session_state[CHOOSING])["state"] in ACTIVE


def _close_when_done() -> None:
    """End a dialog whose button was pressed: the page is drawn anew, with what is true now."""
    if st.session_state.get(DONE):
        st.rerun()


def _who() -> str:
    return who.person() or "dashboard"


def _try(write: Callable[[], object]) -> bool:
    """Write, and keep an error for the page that follows; returns whether it went well."""
    try:
        write()
    except (JobError, StoreError) as error:
        st.session_state["learning_error"] = error
        return False
    return True
