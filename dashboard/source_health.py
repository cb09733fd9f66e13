"""Sources on the Jobs page: where each stands, how its service fares, what is left of its quota."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.access import ask
from dashboard.figures import age, count, literal, size
from dashboard.states import nothing
from dashboard.tables import moment, table
from db.queries import sources

Row = dict[str, Any]
BREAKERS = {"closed": "asked", "open": "left alone", "half_open": "on trial"}
CURSOR_LENGTH = 60


def show_sources() -> None:
    """Lay the section out."""
    rows = ask(sources.sources)
    if not rows:
        nothing("No source was scanned yet: each shows here once it was.")
        return
    waiting = sum(row["waiting"] for row in rows)
    near = sum(row["near_duplicates"] for row in rows)
    st.markdown(
        f"**{count(len(rows))}** sources; **{count(waiting)}** listed items wait to be fetched; "
        f"**{count(near)}** images looked like a stored one and were linked to it."
    )
    table(
        [{**row, "cursor": _cursor(row["cursor"])} for row in rows],
        {
            "source": "source",
            "last_success_at": moment("last success"),
            "listed_at": moment("last listed"),
            "waiting": st.column_config.NumberColumn(
                "waiting", help="listed by the archive and not taken in yet"
            ),
            "stored": "stored",
            "duplicates": "duplicates",
            "near_duplicates": st.column_config.NumberColumn(
                "near duplicates", help="of the duplicates: linked by perceptual hash"
            ),
            "failed": "failed",
            "ignored": "ignored",
            "cursor": st.column_config.TextColumn("cursor", help="where the next listing goes on"),
            "last_error": "last trouble",
        },
        key="sources",
        alt="Every source with its counts, its cursor and its last success",
    )
    _services()
    _released()


def _services() -> None:
    rows = ask(sources.services)
    if not rows:
        return
    resting = [row for row in rows if row["breaker"] == "open"]
    for row in resting:
        until = f" until {row['resting_until']:%H:%M} UTC" if row["resting_until"] else ""
        st.warning(
            f"{literal(row['service'])} is left alone{until}: {literal(row['last_error'])}",
            icon=":material/cloud_off:",
        )
    st.markdown("**Services**")
    table(
        [{**row, "breaker": BREAKERS[row["breaker"]]} for row in rows],
        {
            "service": "service",
            "breaker": st.column_config.TextColumn(
                "state", help="a service that fails again and again is left alone for a while"
            ),
            "failures": st.column_config.NumberColumn("failed in a row"),
            "last_success_at": moment("last success"),
            "asked": "asked",
            "failed": "failed",
            "quotas": st.column_config.TextColumn("quota used"),
            "last_failure_at": moment("last failure"),
            "last_error": "last trouble",
        },
        key="services",
        alt="Every outside service with the state of its circuit breaker and its quota",
    )


def _released() -> None:
    given_up = ask(sources.released)
    if given_up["frames"]:
        st.caption(
            f"The pixels of {count(given_up['frames'])} frames ({size(given_up['bytes'])}) were "
            f"given up to keep within the disk budget, the last {age(given_up['last_at'])}; their "
            "digests, scores, previews and labels stay."
        )


def _cursor(text: str | None) -> str:
    shown = "" if text in (None, "null") else str(text)
    return shown if len(shown) <= CURSOR_LENGTH else f"{shown[: CURSOR_LENGTH - 1]}…"
