"""Editing a mask: what a person says about the chosen pixels, who said what, and undo."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import who
from dashboard.access import ask, owner
from dashboard.figures import count, literal, number
from dashboard.hit_gallery import CHOSEN
from dashboard.hits import MaskView
from dashboard.picking import Picked
from dashboard.states import failure
from dashboard.tables import measured, moment, table
from db.errors import StoreError
from db.queries import mask_edits
from jobs import masks
from jobs.errors import JobError

Row = dict[str, Any]
ADD_KEY, REMOVE_KEY, UNDO_KEY = "y", "n", "z"


def edit_panel(
    run: Row, view: MaskView, threshold: float, chosen: Picked | None, log: Sequence[Row]
) -> None:
    """Say what is chosen, and let a person with a name judge it."""
    editor = _editor()
    if "edit_error" in st.session_state:
        failure(st.session_state.pop("edit_error"))
    if editor is None:
        return
    last = ask(mask_edits.edit_to_undo, run["frame_digest"], editor)
    nothing = chosen is None
    places = st.columns([3, 3, 2, 3])
    for place, action, word, key, icon in (
        (places[0], "remove", "Not a cosmic ray", REMOVE_KEY, ":material/close:"),
        (places[1], "add", "Cosmic ray", ADD_KEY, ":material/check:"),
    ):
        place.button(
            word,
            key=f"edit_{action}",
            icon=icon,
            shortcut=key,
            disabled=nothing,
            on_click=_say,
            args=(run, action, editor, threshold, chosen, _edit_id()),
            width="stretch",
            help="Choose a group of pixels first: click it above, or pick a hit below."
            if nothing
            else None,
        )
    places[2].button(
        "Undo",
        key="edit_undo",
        icon=":material/undo:",
        shortcut=UNDO_KEY,
        disabled=last is None,
        on_click=_take_back,
        args=(last, editor),
        width="stretch",
        help="Takes your last edit of this frame back, and the one before it.",
    )
    places[3].button(
        "The whole mask is right",
        key="edit_confirm",
        icon=":material/done_all:",
        on_click=_confirm,
        args=(run, view, editor, threshold, _edit_id()),
        width="stretch",
        help="You looked at the whole frame: every pixel of the mask as shown now counts as "
        "your judgement.",
    )
    _standing(view, editor, log)


def log_table(log: Sequence[Row]) -> None:
    """List who said what about this frame's mask, undone edits included."""
    if not log:
        return
    with st.expander(f"All {len(log)} entries of this frame's edit log"):
        table(
            list(reversed(log)),
            {
                "edited_at": moment("said"),
                "editor": "who",
                "action": "what",
                "y0": "row",
                "x0": "column",
                "height": "rows",
                "width": "columns",
                "threshold": measured("threshold", ".2f", "of the mask on the screen"),
                "current": "holds",
                "edit_id": "edit",
            },
            key="edit_log",
            alt="Everything people said about this frame's mask",
        )


def _editor() -> str | None:
    """Who edits: the name that labels carry as well, asked once."""
    if name := who.person():
        return name
    if who.is_configured():
        who.sign_in_button("editor_sign_in")
        return None
    with st.form("who_edits", border=False):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        left.text_input(
            "Your name, to edit this mask", max_chars=60, key="editor_name",
            help="Every edit carries the name of who made it.",
        )  # fmt: skip
        right.form_submit_button("Begin", on_click=_introduce, width="stretch")
    return None


def _introduce() -> None:
    if name := st.session_state["editor_name"].strip():
        who.remember(name)


def _standing(view: MaskView, editor: str, log: Sequence[Row]) -> None:
    holding = [row for row in log if row["current"]]
    if not holding:
        st.caption(f"Nobody has edited this mask yet. You edit as {literal(editor)}.")
        return
    people = ", ".join(sorted({literal(row["editor"]) for row in holding}))
    confirmed = any(row["action"] == "confirm" for row in holding)
    st.caption(
        f"**{len(holding)}** edits hold, by {people}: {count(int(view.added.sum()))} pixels added, "
        f"{count(int(view.removed.sum()))} taken out; {count(int(view.said.judged.sum()))} pixels "
        f"judged by people{' (the frame was confirmed as a whole)' if confirmed else ''}. "
        f"You edit as {literal(editor)}."
    )


def chosen_line(chosen: Picked | None, figures: dict[str, float | None]) -> None:
    """Say what is chosen, with the values at the pixel that was clicked."""
    if chosen is None:
        st.caption(
            "Nothing is chosen. Click a hit in any panel, draw a box or paint; after a click, the "
            "wheel zooms and Esc lets the page scroll again."
        )
        return
    y, x = chosen.place
    values = ", ".join(f"{name} {number(value)}" for name, value in figures.items())
    st.markdown(
        f"**Chosen: {chosen.words}**, {count(chosen.pixels.size)} pixels. "
        f"At row {y}, column {x}: {values}."
    )


def _edit_id() -> str:
    """The key that the next edit will have, so that a click sent twice is one edit."""
    made: str = st.session_state.setdefault("next_edit", uuid.uuid4().hex)
    return made


def _say(
    run: Row, action: str, editor: str, threshold: float, chosen: Picked, edit_id: str
) -> None:
    def write() -> None:
        region = masks.region_of(owner().store, chosen.pixels, run["width"])
        owner().edit_mask(
            run["frame_digest"], action, region, editor,
            edit_id=edit_id, run_id=run["run_id"], threshold=threshold,
        )  # fmt: skip

    _written(write)


def _confirm(run: Row, view: MaskView, editor: str, threshold: float, edit_id: str) -> None:
    def write() -> None:
        region = masks.whole_region(owner().store, view.said.mask)
        owner().edit_mask(
            run["frame_digest"], "confirm", region, editor,
            edit_id=edit_id, run_id=run["run_id"], threshold=threshold,
        )  # fmt: skip

    _written(write)


def _take_back(last: Row, editor: str) -> None:
    _written(
        lambda: owner().undo_mask_edit(last["edit_id"], editor, edit_id=f"undo-{last['edit_id']}")
    )


def _written(write: Any) -> None:
    try:
        write()
    except (JobError, StoreError) as error:
        st.session_state["edit_error"] = error
    st.session_state.pop("next_edit", None)
    st.session_state.pop(CHOSEN, None)
