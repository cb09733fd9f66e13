"""Schedules on the Jobs page: the rhythm of each, and forms to add and to change them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import age, count, counted, literal
from dashboard.states import DEMO, nothing
from db.queries import jobs
from jobs.choosing import THOMPSON
from jobs.rhythm import rhythm_text

Row = dict[str, Any]
Try = Callable[[Callable[[], object]], None]
UNITS = {"minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
CRON = "cron"
POLICY_HELP = "The stated false-positive rate that candidates are judged by: see the settings."
SOURCE_HELP = "A source; with Thompson sampling several of them, as `A | B | C`."
CRON_HELP = "Minute, hour, day of month, month, weekday (0 = Sunday), in UTC: `30 4 * * *`."


def show_schedules(attempt: Try) -> None:
    """Lay the section out; `attempt` carries a write out and keeps its error for the page."""
    rows = ask(jobs.schedules)
    turns = {row["schedule_id"]: row.get("next_turn") for row in owner().schedules()}
    for row in rows:
        _line(row, turns.get(row["schedule_id"]), attempt)
    if not rows:
        nothing("No schedules yet. One that you add here runs from now on, in UTC.")
    with st.expander("Add a schedule", icon=":material/add:", key="add_schedule_open"):
        _add(attempt)


def _line(row: Row, turn: Any, attempt: Try) -> None:
    schedule_id, paused = row["schedule_id"], row["paused"]
    st.session_state.setdefault(f"now_{schedule_id}", uuid.uuid4().hex)
    text, run_now, pause, change = st.columns([7, 1.3, 1.3, 1.3], vertical_alignment="center")
    following = "paused" if paused else f"next {turn:%Y-%m-%d %H:%M:%S} UTC" if turn else "waiting"
    text.markdown(
        f"**{literal(row['source'])}** {literal(rhythm_text(row))}{_choices(row)}; {following}; "
        f"last started {age(row['last_started_at'])} ({row['last_state'] or 'never ran'}), "
        f"{counted(row['cycles'], 'cycle')}"
    )
    run_now.button(
        "Run now", key=f"run_{schedule_id}", on_click=_run_now, args=(schedule_id, attempt)
    )
    pause.button(
        "Resume" if paused else "Pause",
        key=f"pause_{schedule_id}",
        on_click=_pause,
        args=(schedule_id, not paused, attempt),
    )
    with change.popover("Change"):
        _change(row, attempt)


def _choices(row: Row) -> str:
    """What a schedule of scans says beside its rhythm."""
    if row["kind"] != "scan":
        return " (learns)"
    limit = f", at most {count(row['frame_limit'])} items" if row["frame_limit"] else ""
    policy = "" if row["policy"] == "normal" else f", {row['policy']} policy"
    choice = ", one of them by Thompson sampling" if row["choice"] == THOMPSON else ""
    return f"{limit}{policy}{choice}"


def _rhythm(key: str, row: Row | None = None) -> dict[str, Any]:
    """Widgets for interval or cron line; what they say, as the owner takes it."""
    cron_line = row["cron"] if row else None
    seconds = float(row["every_s"] or 3600.0) if row else 3600.0
    best = next((u for u in ("days", "hours") if seconds % UNITS[u] == 0), "minutes")
    names = [*UNITS, CRON]
    left, right = st.columns(2)
    unit = left.selectbox(
        "Rhythm", names, names.index(CRON if cron_line else best), key=f"unit_{key}",
        format_func=lambda name: "cron line (UTC)" if name == CRON else f"every so many {name}",
    )  # fmt: skip
    line = right.text_input(
        "Cron line", cron_line or "0 4 * * *", key=f"cron_{key}", help=CRON_HELP
    )
    amount = right.number_input(
        "Every", 0.02, 10_000.0, seconds / UNITS[best], key=f"every_{key}",
        help="In the unit to the left; not used with a cron line.",
    )  # fmt: skip
    return {"cron": line} if unit == CRON else {"every_s": amount * UNITS[unit]}


def _policy(key: str, row: Row | None = None) -> dict[str, Any]:
    left, right = st.columns(2)
    known = (row or {}).get("frame_limit")
    limit = left.number_input("At most, items", 1, 100_000, known or 20, key=f"limit_{key}")
    names = ["normal", "aggressive"]
    chosen = names.index((row or {}).get("policy") or "normal")
    policy = right.selectbox("Policy", names, chosen, key=f"policy_{key}", help=POLICY_HELP)
    return {"limit": int(limit), "policy": policy}


def _add(attempt: Try) -> None:
    with st.form("add_schedule", border=False):
        source = st.text_input("Source", DEMO, key="add_source", help=SOURCE_HELP)
        rhythm = _rhythm("add")
        chosen = _policy("add")
        thompson = st.checkbox(
            "Choose among the sources by their yield",
            key="add_thompson",
            help="Thompson sampling: a turn goes where verified candidates a frame are many, or "
            "where nobody knows yet.",
        )
        learn = st.checkbox(
            "Learn from labels instead",
            key="add_learn",
            help="Refit the ranking; what is better on held-out labels is promoted.",
        )
        sent = st.form_submit_button("Add")
    if not sent:
        return
    if learn:
        attempt(lambda: owner().add_schedule("interest", kind="learn", **rhythm))
    else:
        choice = THOMPSON if thompson else "fixed"
        attempt(lambda: owner().add_schedule(source, choice=choice, **rhythm, **chosen))
    st.rerun()


def _change(row: Row, attempt: Try) -> None:
    schedule_id = row["schedule_id"]
    with st.form(f"change_{schedule_id}", border=False):
        rhythm = _rhythm(schedule_id, row)
        chosen = _policy(schedule_id, row) if row["kind"] == "scan" else {}
        sent = st.form_submit_button("Save")
    st.button(
        "Remove this schedule",
        key=f"remove_{schedule_id}",
        on_click=_remove,
        args=(schedule_id, attempt),
    )
    if sent:
        attempt(lambda: owner().change_schedule(schedule_id, **rhythm, **chosen))
        st.rerun()


def _run_now(schedule_id: str, attempt: Try) -> None:
    request_id = st.session_state.pop(f"now_{schedule_id}")
    attempt(lambda: owner().run_schedule_now(schedule_id, request_id))


def _pause(schedule_id: str, paused: bool, attempt: Try) -> None:
    attempt(lambda: owner().change_schedule(schedule_id, paused=paused))


def _remove(schedule_id: str, attempt: Try) -> None:
    attempt(lambda: owner().remove_schedule(schedule_id))
