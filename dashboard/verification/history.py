"""What one labeller said: a table in which it can be changed."""

from __future__ import annotations

import uuid
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import count, name_of
from dashboard.paging import Pager
from dashboard.states import failure
from dashboard.tables import moment
from dashboard.verification.actions import KIND_WORDS
from dashboard.verification.cutouts import url
from dashboard.verification.items import small_picture
from db.errors import StoreError
from db.labels import HIGHEST_GRADE
from db.queries import verify
from db.queries.wanted import Wanted
from jobs.addresses import address_of
from jobs.errors import JobError

Row = dict[str, Any]
PER_PAGE = 100
ORDER = "newest first"
KINDS = list(KIND_WORDS)


def show_history(labeller: str) -> None:
    """List the labels that hold; a change is a further row of the log, never an edit."""
    done = ask(verify.done_by, labeller)["done"]
    pager = Pager("history", labeller, PER_PAGE)
    page = ask(verify.history_of, labeller, limit=PER_PAGE, cursor=pager.cursor)
    rows = page.rows
    if not rows:
        st.info("You have not labelled anything yet." if not done else "No label is left here.")
        pager.turn(None, ORDER)
        return
    st.caption(
        f"Labels of yours that hold: {count(done)}. Change a label, an interest or a comment: it "
        "is written as a further row, and the log keeps what you said before."
    )
    versions = st.session_state.setdefault("history_version", 0)
    key = f"history_{versions}_{pager.first}"
    st.data_editor(
        pd.DataFrame([_shown(row) for row in rows]),
        key=key,
        hide_index=True,
        disabled=["picture", "name", "at", "seconds", "queue", "blind"],
        column_config={
            "picture": st.column_config.ImageColumn("cutout", width="small"),
            "name": "object",
            "kind": st.column_config.SelectboxColumn("label", options=KINDS, required=True),
            "grade": st.column_config.NumberColumn(
                "interest", min_value=0, max_value=HIGHEST_GRADE, step=1
            ),
            "comment": st.column_config.TextColumn("comment", max_chars=2000),
            "at": moment("said"),
            "seconds": st.column_config.NumberColumn("seconds", format="%.1f"),
            "queue": "queue",
            "blind": "blind",
        },
        on_change=_change,
        args=(key, rows, labeller),
    )
    pager.turn(page.next, ORDER)
    if "history_error" in st.session_state:
        failure(st.session_state.pop("history_error"))
    last = ask(verify.label_to_undo, labeller)
    st.button(
        "Take the latest label back",
        icon=":material/undo:",
        disabled=last is None,
        on_click=_undo,
        args=(last, labeller),
    )
    st.page_link(
        "views/anomalies.py",
        label="What people accepted, as a list to export",
        icon=":material/download:",
        query_params=address_of(Wanted(labels=("accept",))),
    )


def _shown(row: Row) -> Row:
    picture = small_picture(row["cutout_file"])
    return {
        "picture": url(picture) if picture else None,
        "name": name_of(row),
        "kind": row["kind"] or _old_kind(row["label"]),
        "grade": row["grade"],
        "comment": row["comment"],
        "at": row["labelled_at"],
        "seconds": row["seconds"],
        "queue": row["queue"].replace("_", " "),
        "blind": row["blind"],
    }


def _old_kind(label: str) -> str:
    """What a label without a kind is shown as."""
    return {"accept": "astrophysical", "reject": "boring"}.get(label, "unsure")


def _change(key: str, rows: list[Row], labeller: str) -> None:
    edited: dict[int, Row] = st.session_state[key]["edited_rows"]
    said = []
    for number, changed in edited.items():
        row = _shown(rows[int(number)]) | changed
        grade = row["grade"]
        said.append(
            {
                "label_id": uuid.uuid4().hex, "detection_id": rows[int(number)]["detection_id"],
                "labeller": labeller, "kind": row["kind"],
                "grade": None if grade is None or pd.isna(grade) else int(grade),
                "comment": row["comment"] or "", "queue": "history",
            }
        )  # fmt: skip
    try:
        owner().labelling.say(said)
    except (StoreError, JobError) as error:
        st.session_state["history_error"] = error
    st.session_state["history_version"] += 1


def _undo(last: Row, labeller: str) -> None:
    try:
        owner().labelling.undo(last["label_id"], labeller, label_id=f"undo-{last['label_id']}")
    except (StoreError, JobError) as error:
        st.session_state["history_error"] = error
    st.session_state["history_version"] += 1
