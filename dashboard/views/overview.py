"""Overview: what is new, what needs a person, what is broken."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import charts, pictures
from dashboard.access import ask, owner
from dashboard.figures import age, count, literal, made_by, name_of, number
from dashboard.progress import follow
from dashboard.states import empty, failure
from dashboard.tables import moment, table
from db.errors import StoreError
from db.queries import anomalies, catalogues, overview
from jobs.errors import JobError

IMAGE_TYPES = ("fits", "fit", "fts", "fz", "gz", "png", "tif", "tiff", "jpg", "jpeg")
SPANS = {"the last cycle": None, "24 hours": timedelta(hours=24), "7 days": timedelta(days=7)}


def show() -> None:
    """Lay the page out."""
    st.title("Overview")
    owner()
    counts = ask(overview.counts)
    if counts["frames"] == 0:
        empty("frames", "This store is new.")
        _broken()
        _upload()
        return
    _totals(counts)
    left, right = st.columns(2, gap="large")
    with left:
        _new()
        _needs_you()
    with right:
        _broken()
    _best_candidates()
    _pipelines()
    _upload()


def _totals(counts: dict[str, Any]) -> None:
    cards = st.grid(4)
    cards.metric(
        "Frames",
        count(counts["frames"]),
        border=True,
        height="stretch",
        delta=f"newest {age(counts['newest_frame_at'])}",
        delta_color="off",
        delta_arrow="off",
    )
    cards.metric(
        "Runs",
        count(counts["runs"]),
        border=True,
        height="stretch",
        delta=f"newest {age(counts['newest_run_at'])}",
        delta_color="off",
        delta_arrow="off",
        help="Current runs: the latest of each pipeline on each frame.",
    )
    cards.metric(
        "Detections",
        count(counts["detections"]),
        border=True,
        height="stretch",
        delta=f"{count(counts['candidates'])} candidates",
        delta_color="off",
        delta_arrow="off",
    )
    cards.metric(
        "Labelled by people",
        count(counts["labelled"]),
        border=True,
        height="stretch",
        delta=f"last {age(counts['newest_label_at'])}",
        delta_color="off",
        delta_arrow="off",
    )


def _new() -> None:
    st.subheader("What is new")
    chosen = st.segmented_control(
        "New in", list(SPANS), default="the last cycle", key="span", required=True
    )
    span = SPANS[chosen or "the last cycle"]
    cycle = ask(overview.last_cycle)
    began = cycle["started_at"] if cycle else None
    # Whole minutes, so that the answer can be remembered.
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    new = ask(overview.new_since, now - span if span else began)
    st.markdown(
        f"**{count(new['frames'])}** frames, **{count(new['detections'])}** detections, "
        f"**{count(new['candidates'])}** of them candidates, **{count(new['labels'])}** labels."
    )
    if cycle:
        st.caption(
            f"Last cycle: {literal(cycle['source'])}, {cycle['state']}, started {age(began)}."
        )


def _needs_you() -> None:
    st.subheader("What needs you")
    waiting = ask(overview.needs_a_person)
    if not any(waiting.values()):
        st.success("Every candidate, near miss and uncertain detection has a label.")
        return
    st.markdown(
        f"Nobody has labelled **{count(waiting['candidates'])}** candidates, "
        f"**{count(waiting['near_misses'])}** near misses and "
        f"**{count(waiting['uncertain'])}** uncertain detections."
    )
    if st.button("Verify them now", type="primary", icon=":material/fact_check:"):
        st.switch_page("views/verify.py")


def _broken() -> None:
    st.subheader("What is broken")
    wrong = ask(overview.broken)
    silent = [row for row in ask(catalogues.services) if row["last_answer"] == "not_determined"]
    if not any(wrong.values()) and not silent:
        st.success("Nothing failed.")
        return
    st.markdown(
        f"Failed: **{count(wrong['failed_runs'])}** runs, **{count(wrong['failed_intake'])}** "
        f"items of sources, **{count(wrong['failed_cycles'])}** cycles."
    )
    for row in silent:
        st.warning(
            f"{literal(row['service'])} did not answer when last asked "
            f"({age(row['last_asked_at'])}): {literal(row['last_reason'] or 'no reason given')}. "
            f"Last answer: {age(row['last_answer_at'])}. Its objects stay *not determined*."
        )
    failures = ask(overview.failures, 20)
    if failures:
        table(
            failures,
            {
                "what": "what",
                "subject": "on",
                "reason": "why",
                "failed_at": moment("failed"),
            },
            key="failures",
            alt="The newest failures with their reasons",
        )


def _best_candidates() -> None:
    st.subheader("Candidates that nobody has labelled")
    rows = ask(anomalies.page_of_detections, limit=6, verdict="candidate", label="unlabelled").rows
    if not rows:
        st.caption("There are none.")
        return
    gallery = st.grid(6, min_column_width=120)
    for row in rows:
        with gallery.cell():
            pictures.show_cutout(row["cutout_file"], f"p = {number(row['p_value'])}", name_of(row))
            st.page_link(
                "views/anomalies.py",
                label=literal(name_of(row)),
                icon=":material/open_in_new:",
                query_params={"detection": row["detection_id"]},
            )


def _pipelines() -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Pipelines")
        for row in ask(overview.pipelines):
            st.markdown(
                f"**{row['pipeline']}**: {count(row['ok'])} ok, "
                f"{count(row['not_applicable'])} not applicable, {count(row['failed'])} failed; "
                f"median {number(row['median_duration_s'], 's')} a frame"
            )
            st.caption(made_by(row["model"], row["model_digest"], row["newest_run_at"]))
    with right:
        found = ask(anomalies.verdict_counts)
        if found:
            charts.show(
                charts.verdicts(found),
                "Machine verdicts on the current detections; what people said is counted apart.",
            )


def _upload() -> None:
    st.subheader("Analyse an image of yours")
    limit = owner().settings.max_upload_bytes // 2**20
    with st.form("upload", clear_on_submit=True, border=False):
        file = st.file_uploader(
            f"FITS, PNG, TIFF or JPEG, at most {limit} MiB",
            type=IMAGE_TYPES,
            max_upload_size=limit,
            key="upload_file",
        )
        sent = st.form_submit_button("Analyse")
    if sent and file is not None:
        _enqueue_upload(file.name, file.getvalue())
    if "upload_request" in st.session_state:
        follow(st.session_state["upload_request"])


def _enqueue_upload(name: str, content: bytes) -> None:
    request_id = uuid.uuid4().hex
    try:
        payload = owner().store_upload(name, content)
        owner().enqueue("upload", payload, request_id=request_id, asked_by="dashboard")
    except (JobError, StoreError) as error:
        failure(error)
        return
    st.session_state["upload_request"] = request_id


show()
