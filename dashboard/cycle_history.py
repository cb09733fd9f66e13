"""The history of cycles on the Jobs page: counts, durations, and the log of one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import charts
from dashboard.access import ask
from dashboard.figures import age, count, literal
from dashboard.states import nothing
from dashboard.tables import measured, moment, table
from db.queries import jobs, yields

Row = dict[str, Any]


def show_cycles() -> None:
    """Lay the section out."""
    cycles = ask(jobs.page_of_cycles, limit=100).rows
    if not cycles:
        nothing("No cycles yet: a cycle is one pass over one source.")
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
            "policy": "policy",
            "duration_s": measured("took (s)", ".1f"),
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
        alt="The newest cycles with their counts and durations",
    )
    for row in ask(jobs.realised_rates):
        st.caption(f"Realised, {age(row['happened_at'])}: {literal(row['message'])}.")
    _one(cycles)


def _one(cycles: list[Row]) -> None:
    """The log of the cycle that is chosen."""
    names = {
        row["cycle_id"]: f"{row['started_at']:%m-%d %H:%M:%S} {row['source']} ({row['state']})"
        for row in cycles
    }
    chosen = st.selectbox(
        "Log of", list(names), None, format_func=lambda key: names.get(key, key), key="cycle_log",
        placeholder="choose a cycle to read its log",
    )  # fmt: skip
    if chosen is None:
        return
    runs = ask(jobs.runs_of_cycle, chosen)
    if runs:
        table(
            runs,
            {
                "pipeline": "pipeline",
                "runs": "runs",
                "ok": "ok",
                "not_applicable": "not applicable",
                "failed": "failed",
                "seconds": measured("seconds", ".2f"),
                "share": measured("share of time", ".2f"),
            },
            key="cycle_runs",
            alt="What each pipeline did in this cycle",
        )
    log = ask(jobs.log_of_cycle, chosen)
    for event in (row for row in log if row["kind"] == "traceback"):
        with st.expander("Traceback"):
            st.code(event["message"], language=None)
    lines = [
        f"{row['happened_at']:%H:%M:%S} {row['kind']}: {row['message']}"
        for row in log
        if row["kind"] != "traceback"
    ]
    st.code("\n".join(lines) or "this cycle left no log", language=None)


def show_yields() -> None:
    """What each source yields."""
    rows = ask(yields.source_yields)
    if not rows:
        nothing("No source brought a frame yet.")
        return
    judged = any(row["verified_share"] is not None for row in rows)
    best = (
        f"{literal(rows[0]['source'])} brings most verified candidates a frame."
        if judged
        else "nobody has judged a candidate yet, so what they are worth is open."
    )
    st.markdown(f"**Yield** over {count(sum(row['frames'] for row in rows))} stored frames: {best}")
    table(
        rows,
        {
            "source": "source",
            "frames": "frames",
            "candidates_per_100": measured("candidates per 100 frames", ".1f"),
            "candidates": "candidates",
            "accepted": "accepted",
            "rejected": "rejected",
            "verified_share": measured("verified share", ".2f"),
        },
        key="yields",
        alt="Candidates per hundred frames and the share that people confirmed, by source",
    )
    _calibrations()


def _calibrations() -> None:
    rows = ask(jobs.calibrations)
    if not rows:
        return
    newest = rows[0]
    st.markdown(
        f"**Calibrations** of sources of their own: the newest is version {newest['version']} of "
        f"{literal(newest['source'])}, fitted on {count(newest['fitted_on'])} and calibrated on "
        f"{count(newest['calibrated_on'])} cutouts."
    )
    table(
        rows,
        {
            "source": "source",
            "version": "version",
            "made_at": moment("made"),
            "cause": "asked for by",
            "reason": "because",
            "fitted_on": "fitted on",
            "calibrated_on": "calibrated on",
            "expired": "expired since",
        },
        key="calibrations",
        alt="Every calibration of a source with its version and what asked for it",
    )
