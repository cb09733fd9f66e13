"""Requests as they are worked off."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import owner
from dashboard.figures import literal
from db.requests import get_request

ACTIVE = ("queued", "running")


def follow(request_id: str) -> None:
    """Show a request; while it waits or runs, look again every second."""
    live = get_request(owner().store, request_id)["state"] in ACTIVE
    st.fragment(_show, run_every=1 if live else None)(request_id, live=live)


def _show(request_id: str, *, live: bool) -> None:
    request = get_request(owner().store, request_id)
    show_request(request)
    if live and request["state"] not in ACTIVE:
        st.rerun()


def show_request(request: dict[str, Any]) -> None:
    """Show how far one request is, or how it ended."""
    kind, state, done, total = (request[key] for key in ("kind", "state", "done", "total"))
    match state:
        case "queued":
            st.progress(0.0, text=f"{kind}: waits for its turn")
        case "running":
            share = min(done / total, 1.0) if total else 0.0
            of_total = f" of {total}" if total else ""
            st.progress(share, text=f"{kind}: {done}{of_total} done")
        case "done":
            st.success(f"{kind}: done, {done} of {total or done}")
        case "cancelled":
            st.info(f"{kind}: cancelled after {done}")
        case _:
            st.error(f"{kind} failed: {literal(request['error'])}")
