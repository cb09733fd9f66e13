"""The gallery: cutouts side by side, ticked and opened by pointer or key."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import pictures
from dashboard.anomaly_list import words
from dashboard.charts import VERDICT_COLOURS
from dashboard.figures import name_of, number
from db.errors import StoreError

HERE = Path(__file__).parent
OPENED, TICKED = "list_opened", "list_ticked"
MOST_TICKED = 2000
Row = dict[str, Any]

_component = st.components.v2.component(
    "skysieve_gallery",
    js=(HERE / "gallery.js").read_text(encoding="utf-8"),
    css=(HERE / "gallery.css").read_text(encoding="utf-8"),
)


def gallery(rows: Sequence[Row], *, key: str, note: str = "") -> None:
    """Show rows of `db.queries.anomalies.detection_cards`; `note` names a further column to say.

    What is opened goes to the session under OPENED, what is ticked under TICKED.
    """

    def changed() -> None:
        state = st.session_state[key]
        if state.get("opened"):
            st.session_state[OPENED] = state["opened"]
        on_screen = {row["detection_id"] for row in rows}
        kept = [name for name in ticked() if name not in on_screen]
        now = [name for name in state.get("ticked") or () if name in on_screen]
        st.session_state[TICKED] = (kept + now)[:MOST_TICKED]

    chosen = set(ticked())
    _component(
        key=key,
        data={
            "items": [card(row, note) for row in rows],
            "ticked": [row["detection_id"] for row in rows if row["detection_id"] in chosen],
        },
        on_opened_change=changed,
        on_ticked_change=changed,
    )


def ticked() -> list[str]:
    """The detections that are ticked, in the order of ticking."""
    found: list[str] = st.session_state.get(TICKED, [])
    return found


def untick() -> None:
    """Take every tick away."""
    st.session_state[TICKED] = []


def opened() -> str | None:
    """The detection that was just opened, once."""
    found: str | None = st.session_state.pop(OPENED, None)
    return found


def card(row: Row, note: str = "") -> dict[str, Any]:
    """What the gallery shows of a row."""
    marks = []
    if row["calibration_expired"]:
        marks.append("calibration expired")
    if row["missed_by_decades"] is not None:
        marks.append(missed(row["missed_by_decades"]))
    if row["cluster"]:
        marks.append(row["cluster"])
    if note and row.get(note) is not None:
        marks.append(f"{words.measure(note)} {number(row[note])}")
    return {
        "id": row["detection_id"],
        "name": name_of(row),
        "src": thumbnail(row["cutout_file"]),
        "verdict": words.verdict(row["verdict"]),
        "colour": VERDICT_COLOURS[row["verdict"]],
        "line": f"p = {number(row['p_value'])}, {said(row)}",
        "marks": marks,
    }


def missed(decades: float) -> str:
    """By how much a near miss missed."""
    return f"missed by {10**decades:.2g} ×"


def said(row: Row) -> str:
    """Say in a few words what people said."""
    counts = {"accept": row["accepts"], "reject": row["rejects"], "unsure": row["unsures"]}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "no label"


def thumbnail(digest: str) -> str:
    """A stored PNG as a data URL; an empty one where the file is lost."""
    try:
        return f"data:image/png;base64,{base64.b64encode(pictures.content(digest)).decode()}"
    except StoreError:
        return ""
