"""The four questions of the start page: what is new, what changed, what is broken, what needs me.

Every answer is a number with its age and a link to its rows.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard.access import ask, owner
from dashboard.figures import age, count, literal, size
from dashboard.states import nothing
from db.queries import agreement, catalogues, overview
from db.visits import Visit

Row = dict[str, Any]
HERE = "I was last here"
SPANS = {
    HERE: None,
    "the last cycle": None,
    "24 hours ago": timedelta(hours=24),
    "7 days ago": timedelta(days=7),
}
ANOMALIES, VERIFY, JOBS = "views/anomalies.py", "views/verify.py", "views/jobs.py"
CROSSMATCH, MODELS, RAYS = "views/crossmatch.py", "views/models.py", "views/cosmicrays.py"
Link = tuple[str, dict[str, str]]
NEW: dict[str, tuple[str, str, Link]] = {
    "candidate": ("candidate", "candidates", (ANOMALIES, {"verdict": "candidate"})),
    "detection": ("detection", "detections", (ANOMALIES, {})),
    "frame": ("frame", "frames", ("views/compression.py", {})),
    "cycle": ("cycle", "cycles", (JOBS, {"part": "History"})),
    "answer": ("catalogue answer", "catalogue answers", (CROSSMATCH, {})),
    "label": ("label", "labels", (VERIFY, {"view": "people"})),
}
NEEDED: dict[str, tuple[str, str, Link]] = {
    "disputed": ("dispute to settle", "disputes to settle", (VERIFY, {"queue": "adjudication"})),
    "candidate": ("unlabelled candidate", "unlabelled candidates",
                  (VERIFY, {"queue": "most_anomalous"})),
    "near_miss": ("near miss to look at", "near misses to look at",
                  (VERIFY, {"queue": "near_misses"})),
    "uncertain": ("uncertain detection", "uncertain detections", (VERIFY, {"queue": "uncertain"})),
    "paused": ("paused schedule", "paused schedules", (JOBS, {})),
    "unknown_message": (
        "message that may be lost", "messages that may be lost", (JOBS, {"part": "Messages"})
    ),
}  # fmt: skip
BROKEN: dict[str, tuple[str, str, Link]] = {
    "service": ("service left alone", "services left alone", (JOBS, {"part": "Sources"})),
    "calibration": ("expired calibration", "expired calibrations", (JOBS, {"part": "Yield"})),
    "cycle": ("failed cycle", "failed cycles", (JOBS, {"part": "History"})),
    "run": ("failed run", "failed runs", (JOBS, {"part": "Failures"})),
    "item": ("item that did not come in", "items that did not come in",
             (JOBS, {"part": "Failures"})),
    "request": ("failed request", "failed requests", (JOBS, {"part": "Failures"})),
    "message": ("message not sent", "messages not sent", (JOBS, {"part": "Messages"})),
}  # fmt: skip
CHANGES: dict[str, tuple[str, Link]] = {
    "model": ("{subject}: a new model", (MODELS, {})),
    "choice": ("the {subject} ranking: {detail}", (MODELS, {})),
    "calibration": ("calibration of {subject}: {detail}", (JOBS, {"part": "Yield"})),
    "policy": ("a new policy for {subject}", (MODELS, {})),
    "schedule": ("schedule of {subject}: {detail}", (JOBS, {})),
    "judged_anew": ("{n} frames judged anew", (ANOMALIES, {})),
    "mask": ("{n} edits of masks", (RAYS, {})),
}
FULL = 0.9


def since_when(visit: Visit, cycle: Row | None) -> datetime | None:
    """Let the person choose since when; returns the moment, None for ever."""
    chosen = st.segmented_control(
        "Since", list(SPANS), default=HERE, key="since", required=True, bind="query-params"
    )
    if chosen == HERE or chosen is None:
        moment = visit.before
    elif chosen == "the last cycle":
        moment = cycle["started_at"] if cycle else None
    else:
        # Whole minutes, so that the answer can be remembered.
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        moment = now - (SPANS[chosen] or timedelta())
    if moment is not None:
        said = f"That was {age(moment)}, {moment:%Y-%m-%d %H:%M} UTC."
    elif chosen == HERE:
        said = "This is your first visit here, so everything counts as new."
    else:
        said = "There was no cycle yet, so everything counts as new."
    if cycle:
        said += (
            f" Last cycle: {literal(cycle['source'])}, {cycle['state']}, "
            f"started {age(cycle['started_at'])}."
        )
    st.caption(said)
    return moment


def show_new(moment: datetime | None) -> None:
    """What came since."""
    st.subheader("What is new")
    found = {row["kind"]: row for row in ask(overview.new_since, moment)}
    for kind, (one, many, (page, query)) in NEW.items():
        n, newest = found[kind]["n"], f"newest {age(found[kind]['newest_at'])}"
        if page == ANOMALIES and moment is not None:
            query = {**query, "since": f"{moment:%Y-%m-%d}"}
        _number(n, one, many, newest, (page, query))


def show_changed(moment: datetime | None) -> None:
    """What is otherwise than it was."""
    st.subheader("What changed")
    rows = ask(overview.changed_since, moment)
    if not rows:
        nothing("No model, policy, calibration, schedule or mask was changed.")
    for row in rows:
        words, (page, query) = CHANGES[row["kind"]]
        said = words.format(
            subject=literal(row["subject"]), detail=literal(row["detail"]), n=count(row["n"])
        )
        if row["kind"] == "model":
            query = {"model": row["id"]}
        _line(said, age(row["changed_at"]), (page, query))


def show_needed() -> None:
    """What waits for a person."""
    st.subheader("What needs you")
    disputed = ask(agreement.standing_counts, owner().labelling.rule)["disputed"]
    rows = ask(overview.needs_a_person)
    open_ones = ask(catalogues.summary)["waiting"]
    if not rows and not open_ones and not disputed:
        st.success("Nothing waits for you: what the machine points at has a label.")
    if disputed:
        one, many, link = NEEDED["disputed"]
        _number(disputed, one, many, "labellers disagree", link)
    for row in rows:
        one, many, link = NEEDED[row["kind"]]
        _number(row["n"], one, many, f"oldest {age(row['oldest_at'])}", link)
    if open_ones:
        _number(open_ones, "open catalogue question", "open catalogue questions", "",
                (CROSSMATCH, {}))  # fmt: skip
    if rows and rows[0]["kind"] in ("candidate", "near_miss", "uncertain"):
        st.page_link(VERIFY, label="**Verify them now**", icon=":material/fact_check:")


def show_broken() -> None:
    """What is wrong now."""
    st.subheader("What is broken")
    rows = ask(overview.broken)
    silent = [row for row in ask(catalogues.services) if row["last_answer"] == "not_determined"]
    crowded = _disk()
    if not rows and not silent and not crowded:
        st.success("Nothing is broken.")
    if crowded:
        st.warning(crowded, icon=":material/hard_drive:")
    for row in rows:
        one, many, link = BROKEN[row["kind"]]
        _number(row["n"], one, many, f"newest {age(row['newest_at'])}", link)
        if row["reason"]:
            st.caption(f"{literal(row['subject'])}: {literal(_short(row['reason']))}")
    for row in silent:
        _number(
            row["current_trouble"], f"object without an answer of {literal(row['service'])}",
            f"objects without an answer of {literal(row['service'])}",
            f"asked {age(row['last_asked_at'])}", (CROSSMATCH, {}),
        )  # fmt: skip
        st.caption(
            f"{literal(row['service'])} did not answer when last asked: "
            f"{literal(_short(row['last_reason'] or 'no reason given'))}. "
            "Its objects stay *not determined*."
        )


def _disk() -> str:
    """What is to be said of the disk; '' where there is room."""
    home, budget = owner().store.home, owner().settings.disk_budget_bytes
    disk = shutil.disk_usage(home)
    if budget:
        used = _used(str(home), datetime.now(UTC).strftime("%H:%M"))
        if used > FULL * budget:
            return (
                f"The stored files take {size(used)} of the {size(budget)} that "
                "`disk_budget_bytes` allows: pixels of normals are given up first."
            )
    if disk.used > FULL * disk.total:
        return (
            f"The disk of the store has {size(disk.free)} left of {size(disk.total)}: "
            "set `disk_budget_bytes`, or make room."
        )
    return ""


@st.cache_data(max_entries=4, show_spinner=False)
def _used(home: str, minute: str) -> int:  # noqa: ARG001  counted once a minute
    return owner().store.files.usage_bytes()


def _number(n: int, one: str, many: str, how_old: str, link: Link) -> None:
    _line(f"**{count(n)}** {one if n == 1 else many}", how_old if n else "", link)


def _line(words: str, how_old: str, link: Link) -> None:
    page, query = link
    st.page_link(
        page, label=f"{words} :gray[· {how_old}]" if how_old else words, query_params=query or None
    )


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
