"""The frames that a pipeline has nothing to say about, with the reasons."""

from __future__ import annotations

import streamlit as st

from dashboard.access import ask
from dashboard.tables import moment, table
from db.queries import runs


def inapplicable_frames(pipeline: str, title: str) -> None:
    """List them; `title` names the pipeline to those who cannot see the table."""
    rows = ask(runs.not_applicable, pipeline)
    if not rows:
        return
    st.subheader("Not applicable")
    table(
        rows,
        {"object_id": "object", "source": "source", "reason": "why", "finished_at": moment("seen")},
        key=f"{pipeline}_not_applicable",
        alt=f"Frames that the {title} does not apply to",
    )
