"""Requests as they are worked off."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from dashboard.access import owner
from dashboard.figures import age, literal
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
    state, done, total = (request[key] for key in ("state", "done", "total"))
    kind = literal(_named(request))
    match state:
        case "queued":
            st.progress(0.0, text=f"{kind}: waits for its turn")
        case "running":
            share = min(done / total, 1.0) if total else 0.0
            of_total = f" of {total}" if total else ""
            began = f", began {age(request['started_at'])}" if request["started_at"] else ""
            st.progress(share, text=f"{kind}: {done}{of_total} done{began}")
        case "done":
            st.success(f"{kind}: done" + (f", {done} of {total or done}" if done or total else ""))
        case "cancelled":
            st.info(f"{kind}: cancelled after {done}")
        case _:
            st.error(f"{kind} failed: {literal(request['error'])}")


def _named(request: dict[str, Any]) -> str:
    """What a request is about: its kind, and the source or file that it names."""
    payload = request["payload"] or {}
    told = json.loads(payload) if isinstance(payload, str) else payload
    about = told.get("source") or told.get("name")
    kind = str(request["kind"]).replace("_", " ")
    return f"{kind} of {about}" if about else kind
