"""One label for many detections: a row of the log for each, and all taken back at once."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from dashboard import who
from dashboard.access import ask, owner
from dashboard.anomaly_list import state
from dashboard.anomaly_list.gallery import MOST_TICKED, ticked, untick
from dashboard.figures import count, counted, literal
from dashboard.states import failure
from db.errors import StoreError
from db.queries import anomalies
from jobs.errors import JobError

CHOICES = (("accept", "Accept"), ("reject", "Reject"), ("unsure", "Unsure"))
WRITTEN, ASKED = "bulk_written", "bulk_asked"
Asked = dict[str, Any]


def bulk(fitting: int) -> None:
    """Lay the popover out; `fitting` is how many detections the list has in all."""
    chosen = ticked()
    word = f"Label {count(len(chosen))}" if chosen else "Label"
    with st.popover(word, icon=":material/label:", width="stretch", key="bulk"):
        name = who.name_field("Who labels", "bulk_labeller", help="Every label carries a name.")
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
        with st.container(horizontal=True):
            for label, word in CHOICES:
                st.button(
                    word, key=f"bulk_{label}", on_click=_ask, args=(label, name, whole == "all"),
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
                f"Take back {count(len(written))}", key="bulk_undo", type="tertiary",
                icon=":material/undo:", on_click=_ask_undo, args=(written,),
            )  # fmt: skip


def _ask(label: str, name: str, whole: bool) -> None:
    now = state.shown()
    ids = ask(anomalies.ids_of, now.wanted, now.sort) if whole else list(ticked())
    who.remember(name)
    st.session_state[ASKED] = {
        "label": label, "labeller": name, "rows": [(each, uuid.uuid4().hex) for each in ids],
    }  # fmt: skip


def _ask_undo(written: list[tuple[str, str]]) -> None:
    st.session_state[ASKED] = {
        "label": None, "labeller": written[0][1],
        "rows": [(label_id, uuid.uuid4().hex) for label_id, _ in written],
    }  # fmt: skip


def carry_out() -> None:
    """Write what was asked for; rows have keys, so that a second try writes none twice."""
    asked: Asked | None = st.session_state.get(ASKED)
    if asked is None:
        return
    done = 0
    bar = st.progress(0.0, text="Writing labels")
    try:
        for done, (what, key) in enumerate(asked["rows"], start=1):
            if asked["label"] is None:
                owner().undo(what, asked["labeller"], label_id=key)
            else:
                owner().label(what, asked["label"], asked["labeller"], label_id=key)
            bar.progress(done / len(asked["rows"]), text=f"Writing labels: {done}")
    except (JobError, StoreError) as error:
        failure(error)
        done -= 1
    bar.empty()
    st.session_state.pop(ASKED)
    rows = asked["rows"][:done]
    if asked["label"] is None:
        st.session_state.pop(WRITTEN, None)
        st.toast(f"Took back {counted(len(rows), 'label')}")
    else:
        st.session_state[WRITTEN] = [(key, asked["labeller"]) for _, key in rows]
        untick()
        st.toast(f"{literal(asked['labeller'])} labelled {count(len(rows))}: {asked['label']}")
    if done == len(asked["rows"]):
        st.rerun()
