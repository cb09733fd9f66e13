"""What a language model wrote about a detection, marked as such; a button asks for it."""

from __future__ import annotations

import uuid

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import age, literal
from db.queries.descriptions import descriptions


def show_descriptions(detection_id: str) -> None:
    """Lay the section out; nothing where descriptions are off and there are none."""
    rows = ask(descriptions, detection_id)
    for row in rows:
        st.info(literal(row["text"]), icon=":material/smart_toy:")
        st.caption(
            f"Machine text by {literal(row['model'])} ({row['provider']}), {age(row['made_at'])}; "
            "no label, and no one's judgement."
        )
    if owner().settings.llm_provider:
        st.button(
            "Describe again" if rows else "Describe",
            key=f"describe_{detection_id}",
            on_click=_describe,
            args=(detection_id,),
        )


def _describe(detection_id: str) -> None:
    payload = {"detection_id": detection_id}
    owner().enqueue("describe", payload, request_id=uuid.uuid4().hex, asked_by="dashboard")
