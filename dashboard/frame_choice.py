"""The choice of one frame among the runs of a page, kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.figures import name_of

Row = dict[str, Any]


def choose_frame(runs: Sequence[Row]) -> str:
    """Let the user choose one of the frames that `runs` are on; returns its digest."""
    names = {row["frame_digest"]: f"{name_of(row)} ({row['frame_digest'][:8]})" for row in runs}
    digests = list(names)
    asked = st.query_params.get("frame")
    chosen: str = st.selectbox(
        "Frame",
        digests,
        index=digests.index(asked) if asked in names else 0,
        format_func=names.__getitem__,
        key="frame_choice",
    )
    st.query_params["frame"] = chosen
    return chosen
