"""One label for many detections: a row of the log for each, all written and taken back at once."""

from __future__ import annotations

import uuid

import streamlit as st

from dashboard import who
from dashboard.access import ask, owner
from dashboard.anomaly_list import state, words
from dashboard.anomaly_list.gallery import MOST_TICKED, ticked, untick
from dashboard.figures import count, counted, literal
from dashboard.states import failure
from db.errors import StoreError
from db.queries import anomalies
from jobs.errors import JobError

WRITTEN, ERROR, NAME, GRADE = "bulk_written", "bulk_error", "bulk_labeller", "bulk_grade"
QUEUE = "bulk"


def bulk(fitting: int) -> None:
    """Lay the popover out; `fitting` is how many detections the list has in all."""
    chosen = ticked()
    word = f"Label {count(len(chosen))}" if chosen else "Label"
    with st.popover(word, icon=":material/label:", key="bulk"):
        name = who.name_field("Who labels", NAME, help="Every label carries a name.")
        whole = st.segmented_control(
            "Which",
            ("ticked", "all"),
            default="ticked",
            required=True,
            format_func=lambda each: (
                f"{count(len(chosen))} ticked" if each == "ticked" else f"all {count(fitting)}"
            ),
            key="bulk_which",
        )
        number = len(chosen) if whole == "ticked" else fitting
        st.pills("Interest", words.GRADES, key=GRADE, help="Goes with the label; may be left out.")
        with st.container(horizontal=True):
            for kind, word in words.KINDS.items():
                st.button(
                    word, key=f"bulk_{kind}", on_click=_write, args=(kind, whole == "all"),
                    disabled=not name or not 0 < number <= MOST_TICKED,
                )  # fmt: skip
        if whole == "all" and fitting > MOST_TICKED:
            st.caption(f"At most {count(MOST_TICKED)} at once: narrow the list first.")
        elif not number:
            st.caption("Tick detections in the gallery or the table: x, or the box on a picture.")
        st.button(
            "Untick", key="bulk_untick", type="tertiary", on_click=untick, disabled=not chosen
        )
        if written := st.session_state.get(WRITTEN):
            st.button(
                f"Take back {count(len(written[1]))}", key="bulk_undo", type="tertiary",
                icon=":material/undo:", on_click=_take_back, args=written,
            )  # fmt: skip
    if ERROR in st.session_state:
        failure(st.session_state.pop(ERROR))


def _write(kind: str, whole: bool) -> None:
    """Write one label for each, in one transaction: all of them, or none."""
    now, name, grade = state.shown(), who.given(NAME), st.session_state.get(GRADE)
    ids = ask(anomalies.ids_of, now.wanted, now.sort) if whole else list(ticked())
    rows = [
        {"label_id": uuid.uuid4().hex, "detection_id": each, "labeller": name, "kind": kind,
         "grade": None if grade is None else int(grade), "queue": QUEUE}
        for each in ids[: MOST_TICKED + 1]
    ]  # fmt: skip
    if len(rows) > MOST_TICKED:
        return  # the list grew since the button was drawn; it is drawn anew without it
    try:
        owner().labelling.say(rows)
    except (JobError, StoreError) as error:
        st.session_state[ERROR] = error
        return
    who.remember(name)
    st.session_state[WRITTEN] = (name, [row["label_id"] for row in rows])
    st.session_state[GRADE] = None
    untick()
    st.toast(f"{literal(name)} labelled {count(len(rows))}: {words.KINDS[kind].lower()}")


def _take_back(name: str, written: list[str]) -> None:
    """Take back what was written last, in one transaction."""
    try:
        owner().labelling.undo_all([(each, f"undo-{each}") for each in written], name)
    except (JobError, StoreError) as error:
        st.session_state[ERROR] = error
        return
    st.session_state.pop(WRITTEN, None)
    st.toast(f"Took back {counted(len(written), 'label')}")
