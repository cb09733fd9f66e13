"""Jobs: what runs, what ran, what failed, and what runs next."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.cycle_history import show_cycles, show_yields
from dashboard.digests import show_digests
from dashboard.figures import age, literal, name_of
from dashboard.progress import show_request
from dashboard.schedule_editing import show_schedules
from dashboard.source_health import show_sources
from dashboard.states import DEMO, empty, failure, nothing, stale
from dashboard.tables import moment, table
from db.errors import StoreError
from db.heartbeats import last_heartbeat
from db.queries import jobs, runs
from jobs.errors import JobError

Row = dict[str, Any]
BEAT_S, LOOK_S = 5, 4
SILENT = timedelta(seconds=60)
NOW_HEIGHT = 250


def show() -> None:
    """Lay the page out."""
    st.title("Jobs")
    owner()
    _say_error()
    st.fragment(_pulse, run_every=BEAT_S)()
    if not ask(jobs.page_of_cycles, limit=1).rows and not ask(jobs.active_requests):
        empty("cycles", "A cycle is one pass over a source: start one on the right, or")
    live, new = st.columns(2, gap="large")
    with live:
        st.subheader("Now")
        with st.container(height=NOW_HEIGHT, border=False):
            st.fragment(_now, run_every=1)()
    with new:
        _new_scan()
    _parts()


@st.fragment
def _parts() -> None:
    """The parts below; another one is drawn without the rest of the page."""
    _say_error()
    tabs = st.tabs(list(PARTS), key="part", bind="query-params")
    for tab, (name, part) in zip(tabs, PARTS.items(), strict=True):
        if tab.open:
            with tab:
                # What people type into is never drawn anew by itself; what they read is.
                if name == "Schedules":
                    part()
                else:
                    st.fragment(part, run_every=LOOK_S)()


def _pulse() -> None:
    row = last_heartbeat(owner().store)
    if row is None:
        return
    now = owner().store.now()
    stale("The owner's last heartbeat", row["beat_at"], SILENT, now)
    st.caption(
        f"The owner (process {row['pid']}) has run since {row['started_at']:%Y-%m-%d %H:%M:%S} "
        f"UTC; its heart beat {age(row['beat_at'], now)}. Learning is on the Models page."
    )


def _now() -> None:
    active = ask(jobs.active_requests)
    ids = [row["request_id"] for row in active]
    plans = [(row["schedule_id"], row["changed_at"]) for row in ask(jobs.schedules)]
    before = st.session_state.get("jobs_seen")
    st.session_state["jobs_seen"] = (ids, plans)
    if before is not None and before != (ids, plans):
        st.rerun()
    if not active:
        nothing("Nothing is running. Scans, uploads and queries show here as they go.")
    for row in active:
        left, right = st.columns([5, 1.4], vertical_alignment="center")
        with left:
            show_request(row)
        right.button(
            "Cancel",
            key=f"cancel_{row['request_id']}",
            on_click=_cancel,
            args=(row["request_id"],),
            width="stretch",
        )
    for row in ask(jobs.events, 5):
        about = f"{literal(row['source'])} " if row["source"] else ""
        st.caption(f"{age(row['happened_at'])}: {about}{row['kind']}: {literal(row['message'])}")


def _new_scan() -> None:
    st.subheader("New scan")
    with st.form("scan", border=False):
        source = st.text_input(
            "Source",
            DEMO,
            key="scan_source",
            help="`sim:NIGHT` is a simulated night, `folder:/path` a folder; archives are "
            "`sdss`, `galaxyzoo`, `ztf`, `apod`, `tess:ra=..,dec=..` and `skyview:...` "
            "(`skysieve scan --source help` tells their options).",
        )
        left, middle = st.columns(2, vertical_alignment="bottom")
        limit = left.number_input("At most, items", 1, 100_000, 20, key="scan_limit")
        every = middle.number_input(
            "Repeat every, minutes", 0, 10_080, 0, key="scan_every",
            help="0 scans once; more rhythms are under Schedules.",
        )  # fmt: skip
        aggressive = st.checkbox(
            "More candidates, at a higher stated false-positive rate",
            key="scan_aggressive",
            help="`aggressive_rate` instead of `false_positive_rate` of the settings.",
        )
        sent = st.form_submit_button("Start", type="primary")
    if not sent:
        return
    if every:
        policy = "aggressive" if aggressive else "normal"
        _try(lambda: owner().add_schedule(source, 60.0 * every, int(limit), policy=policy))
    payload = {"source": source, "limit": int(limit), "aggressive": aggressive}
    request_id = uuid.uuid4().hex
    _try(lambda: owner().enqueue("scan", payload, request_id=request_id, asked_by="dashboard"))
    st.rerun()


def _failures() -> None:
    failed = ask(runs.page_of_runs, limit=20, status="failed").rows
    items = ask(jobs.failed_intake, 20)
    if not failed and not items:
        nothing("No run failed, and every item of every source came in.")
        return
    for row in failed:
        title = f"{row['pipeline']} on {literal(name_of(row))}: {literal(row['reason'])}"
        with st.expander(title, key=f"failed_{row['run_id']}"):
            st.caption(f"cycle {row['cycle_id']}, {age(row['finished_at'])}")
            st.code(row["trace"] or "no traceback was kept", language=None)
    if items:
        table(
            items,
            {
                "source": "source",
                "uri": "item",
                "part": "part",
                "reason": "why",
                "seen_at": moment("seen"),
            },
            key="failed_intake",
            alt="Items of sources that could not be taken in",
        )


def _cancel(request_id: str) -> None:
    _try(lambda: owner().cancel(request_id))


def _try(write: Callable[[], object]) -> None:
    """Write, and keep an error for the page that follows."""
    try:
        write()
    except (JobError, StoreError) as error:
        st.session_state["jobs_error"] = error


def _say_error() -> None:
    if "jobs_error" in st.session_state:
        failure(st.session_state.pop("jobs_error"))


PARTS: dict[str, Callable[[], None]] = {
    "Schedules": lambda: show_schedules(_try),
    "Sources": show_sources,
    "Yield": show_yields,
    "History": show_cycles,
    "Messages": show_digests,
    "Failures": _failures,
}

show()
