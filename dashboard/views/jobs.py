"""Jobs: what runs, what ran, what failed, and what runs next."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import charts
from dashboard.access import ask, owner
from dashboard.figures import age, count, literal, name_of
from dashboard.progress import show_request
from dashboard.source_health import show_sources
from dashboard.states import DEMO, empty, failure
from dashboard.tables import moment, table
from db.errors import StoreError
from db.queries import jobs, runs
from jobs.errors import JobError

Row = dict[str, Any]


def show() -> None:
    """Lay the page out."""
    st.title("Jobs")
    owner()
    _say_error()
    live, new = st.columns(2, gap="large")
    with live:
        st.subheader("Now")
        st.fragment(_now, run_every=1)()
    with new:
        _new_scan()
    _schedules()
    show_sources()
    _cycles()
    _failures()
    _models()


def _now() -> None:
    active = ask(jobs.active_requests)
    ids = [row["request_id"] for row in active]
    before = st.session_state.get("active_requests")
    st.session_state["active_requests"] = ids
    if before is not None and before != ids:
        st.rerun()
    if not active:
        st.caption("Nothing is running. Scans, uploads and queries show here as they go.")
    for row in active:
        left, right = st.columns([5, 1], vertical_alignment="center")
        with left:
            show_request(row)
        right.button(
            "Cancel", key=f"cancel_{row['request_id']}", on_click=_cancel, args=(row["request_id"],)
        )
    for row in ask(jobs.events, 5):
        st.caption(f"{age(row['happened_at'])}: {row['kind']}: {literal(row['message'])}")


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
        left, middle, right = st.columns(3, vertical_alignment="bottom")
        limit = left.number_input("At most, items", 1, 100_000, 20, key="scan_limit")
        every = middle.number_input(
            "Repeat every, minutes", 0, 10_080, 0, key="scan_every", help="0 scans once."
        )
        aggressive = right.checkbox(
            "More candidates",
            key="scan_aggressive",
            help="Another stated false-positive rate, set in the settings.",
        )
        sent = st.form_submit_button("Start", type="primary")
    if not sent:
        return
    if every:
        _try(lambda: owner().add_schedule(source, 60.0 * every, int(limit)))
    payload = {"source": source, "limit": int(limit), "aggressive": aggressive}
    request_id = uuid.uuid4().hex
    _try(lambda: owner().enqueue("scan", payload, request_id=request_id, asked_by="dashboard"))
    st.rerun()


def _schedules() -> None:
    rows = ask(jobs.schedules)
    if not rows:
        return
    st.subheader("Schedules")
    turns = {row["schedule_id"]: row.get("next_turn") for row in owner().schedules()}
    for row in rows:
        schedule_id, paused = row["schedule_id"], row["paused"]
        st.session_state.setdefault(f"now_{schedule_id}", uuid.uuid4().hex)
        text, run_now, pause = st.columns([6, 1, 1], vertical_alignment="center")
        turn = turns.get(schedule_id)
        following = "paused" if paused else f"next {turn:%H:%M:%S} UTC" if turn else "waiting"
        text.markdown(
            f"**{literal(row['source'])}** every {row['every_s'] / 60:g} min, at most "
            f"{count(row['frame_limit'])} items; {following}; last started "
            f"{age(row['last_started_at'])} ({row['last_state'] or 'never ran'}), "
            f"{count(row['cycles'])} cycles"
        )
        run_now.button("Run now", key=f"run_{schedule_id}", on_click=_run_now, args=(schedule_id,))
        pause.button(
            "Resume" if paused else "Pause",
            key=f"pause_{schedule_id}",
            on_click=_pause,
            args=(schedule_id, not paused),
        )


def _cycles() -> None:
    st.subheader("History")
    cycles = ask(jobs.page_of_cycles, limit=100).rows
    if not cycles:
        empty("cycles", "A cycle is one pass over one source.")
        return
    stored = sum(row["stored"] for row in cycles)
    loose = sum(1 for row in cycles if row["state"] == "done" and row["unaccounted"])
    st.markdown(
        f"The last **{count(len(cycles))}** cycles stored **{count(stored)}** frames. "
        + (
            f"**{loose}** of them do not add up: asked differs from the sum of outcomes."
            if loose
            else "In each that is done, asked = known + stored + duplicates + failed + ignored."
        )
    )
    charts.show(charts.cycle_outcomes(cycles), "One bar a cycle; its height is what it asked for.")
    table(
        cycles,
        {
            "started_at": moment("started"),
            "source": "source",
            "state": "state",
            "asked": "asked",
            "known": "known",
            "stored": "stored",
            "duplicates": "duplicates",
            "failed": "failed",
            "ignored": "ignored",
            "unaccounted": st.column_config.NumberColumn(
                "unaccounted", help="asked minus the five before it: 0 once a cycle is done"
            ),
            "error": "error",
            "finished_at": moment("finished"),
        },
        key="cycles",
        alt="The newest cycles with their counts",
    )


def _failures() -> None:
    failed = ask(runs.page_of_runs, limit=20, status="failed").rows
    items = ask(jobs.failed_intake, 20)
    if not failed and not items:
        return
    st.subheader("Failed")
    for row in failed:
        title = f"{row['pipeline']} on {literal(name_of(row))}: {literal(row['reason'])}"
        with st.expander(title):
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


def _models() -> None:
    models = ask(jobs.models)
    if not models:
        return
    st.subheader("Models in use")
    table(
        models,
        {
            "pipeline": "pipeline",
            "name": "model",
            "model_digest": "digest",
            "current_runs": "current runs",
            "newest_run_at": moment("newest run"),
            "registered_at": moment("registered"),
        },
        key="models",
        alt="The models with how many of the current runs each made",
    )


def _cancel(request_id: str) -> None:
    _try(lambda: owner().cancel(request_id))


def _run_now(schedule_id: str) -> None:
    request_id = st.session_state.pop(f"now_{schedule_id}")
    _try(lambda: owner().run_schedule_now(schedule_id, request_id))


def _pause(schedule_id: str, paused: bool) -> None:
    _try(lambda: owner().change_schedule(schedule_id, paused=paused))


def _try(write: Callable[[], object]) -> None:
    """Write, and keep an error for the page that follows."""
    try:
        write()
    except (JobError, StoreError) as error:
        st.session_state["jobs_error"] = error


def _say_error() -> None:
    if "jobs_error" in st.session_state:
        failure(st.session_state.pop("jobs_error"))


show()
