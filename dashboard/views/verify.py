"""Verify: one detection at a time, one key for each label."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard import pictures
from dashboard.access import ask, owner
from dashboard.detail import facts, verdict_line
from dashboard.figures import count, literal, name_of, number
from dashboard.states import empty, failure
from db.errors import StoreError
from db.queries import anomalies, catalogues, overview, verify
from jobs.errors import JobError

Row = dict[str, Any]
QUEUES = {
    "most_anomalous": "most anomalous",
    "near_misses": "near misses",
    "uncertain": "uncertain",
    "random": "random audit",
}
# Streamlit keeps R and C for itself, so reject is X.
CHOICES = (
    ("accept", "Accept", "a", ":material/check:"),
    ("reject", "Reject", "x", ":material/close:"),
    ("unsure", "Unsure", "u", ":material/question_mark:"),
)
UNDO_KEY = "z"


def show() -> None:
    """Lay the page out."""
    st.title("Verify")
    owner()
    if ask(overview.counts)["detections"] == 0:
        empty("detections to verify")
        return
    labeller = _labeller()
    if labeller is None:
        return
    which = _queue_choice(labeller)
    waiting = ask(verify.queue, labeller, which, 20)
    if "verify_error" in st.session_state:
        failure(st.session_state.pop("verify_error"))
    if not waiting:
        st.success(f"Nothing is left in this queue for {literal(labeller)}. Choose another one.")
        _buttons(None, labeller)
        return
    brought_back = st.session_state.get("verify_again")
    here = next((row for row in waiting if row["detection_id"] == brought_back), waiting[0])
    _card(here, labeller)


def _labeller() -> str | None:
    """Ask once who labels; afterwards say it, and let it be changed."""
    name: str | None = st.session_state.get("labeller")
    if name is None:
        st.markdown("Every label carries the name of who gave it. Who is looking?")
        with st.form("who", border=False):
            given = st.text_input("Your name", max_chars=60, key="labeller_name")
            begun = st.form_submit_button("Begin", type="primary")
        if begun and given.strip():
            st.session_state["labeller"] = given.strip()
            st.rerun()
        return None
    return name


def _queue_choice(labeller: str) -> str:
    lengths = ask(verify.queue_lengths, labeller)
    done = ask(verify.done_by, labeller)
    left, middle, right = st.columns([5, 4, 1], vertical_alignment="bottom")
    with left:
        which: str | None = st.segmented_control(
            "Queue",
            list(QUEUES),
            default="most_anomalous",
            format_func=lambda name: f"{QUEUES[name]} ({lengths[name]})",
            key="queue",
            required=True,
        )
    middle.markdown(
        f"**{literal(labeller)}** has labelled **{count(done['done'])}**: "
        f"{done['accept']} accept, {done['reject']} reject, {done['unsure']} unsure"
        + (f"; {number(done['median_s'], 's')} each" if done["median_s"] is not None else "")
    )
    right.button("Not me", on_click=_forget_labeller, type="tertiary")
    return which or "most_anomalous"


def _card(here: Row, labeller: str) -> None:
    left, right = st.columns([2, 3], gap="large")
    found = ask(anomalies.detection, here["detection_id"]) or here
    with left:
        pictures.show_cutout(here["cutout_file"], f"Cutout, {here['size_px']} px", "cutout")
    with right:
        st.subheader(literal(name_of(here)))
        _buttons(here, labeller)
        verdict_line(here)
        facts(found)
        _answers(here["detection_id"])
        with st.expander("On its frame"):
            pictures.show_place(found, found["preview_file"], "The box marks the detection")
        st.page_link(
            "views/anomalies.py",
            label="Everything about it",
            icon=":material/open_in_new:",
            query_params={"detection": here["detection_id"]},
        )


def _answers(detection_id: str) -> None:
    answers = ask(catalogues.answers, detection_id)
    if not answers:
        st.caption("Catalogues: not asked yet.")
        return
    words = [
        f"{literal(row['service'])} {row['answer'].replace('_', ' ')}"
        + (f" ({literal(row['object_name'])})" if row["object_name"] else "")
        for row in answers
    ]
    st.caption("Catalogues: " + "; ".join(words))


def _buttons(here: Row | None, labeller: str) -> None:
    shown = _shown(here["detection_id"]) if here else None
    places = st.columns(len(CHOICES) + 1)
    for place, (label, word, key, icon) in zip(places, CHOICES, strict=False):
        place.button(
            word,
            key=label,
            icon=icon,
            shortcut=key,
            disabled=shown is None,
            on_click=_say,
            args=(label, labeller, shown),
            width="stretch",
        )
    last = ask(verify.label_to_undo, labeller)
    places[-1].button(
        "Undo",
        key="undo",
        icon=":material/undo:",
        shortcut=UNDO_KEY,
        disabled=last is None,
        on_click=_take_back,
        args=(last, labeller),
        width="stretch",
        help="Takes your last label back, and the one before it, as far as you like.",
    )


def _shown(detection_id: str) -> Row:
    """Return what is on screen: the detection, the key its label will have, since when."""
    shown: Row | None = st.session_state.get("verify_shown")
    if shown is None or shown["detection_id"] != detection_id:
        shown = {
            "detection_id": detection_id,
            "label_id": uuid.uuid4().hex,
            "since": datetime.now(UTC),
        }
        st.session_state["verify_shown"] = shown
    return shown


def _say(label: str, labeller: str, shown: Row) -> None:
    """Write one label, for the detection that was on screen when the key was pressed."""
    seconds = (datetime.now(UTC) - shown["since"]).total_seconds()
    try:
        owner().label(
            shown["detection_id"], label, labeller, label_id=shown["label_id"], seconds=seconds
        )
    except (JobError, StoreError) as error:
        st.session_state["verify_error"] = error
    st.session_state.pop("verify_shown", None)
    st.session_state.pop("verify_again", None)


def _take_back(last: Row, labeller: str) -> None:
    """Undo one label and bring its detection back; a label can be taken back only once."""
    try:
        owner().undo(last["label_id"], labeller, label_id=f"undo-{last['label_id']}")
    except (JobError, StoreError) as error:
        st.session_state["verify_error"] = error
    st.session_state.pop("verify_shown", None)
    st.session_state["verify_again"] = last["detection_id"]


def _forget_labeller() -> None:
    st.session_state.pop("labeller", None)


show()
