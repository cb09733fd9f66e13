"""Overview: what is new since I was here, what changed, what is broken, what needs me."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dashboard import charts, news, pictures
from dashboard.access import ask, owner
from dashboard.figures import age, count, counted, literal, made_by, name_of, number
from dashboard.progress import follow
from dashboard.sky_map import HEIGHT, field_chart, sky_chart
from dashboard.states import empty, failure, loading, nothing
from dashboard.tables import moment, table
from dashboard.visiting import note_visit
from db.errors import StoreError
from db.queries import anomalies, jobs, overview, sky
from db.visits import Visit
from jobs.errors import JobError

IMAGE_TYPES = ("fits", "fit", "fts", "fz", "gz", "png", "tif", "tiff", "jpg", "jpeg")
PICKED = "picked_in_field"


def show() -> None:
    """Lay the page out."""
    st.title("Overview")
    visit = note_visit(owner().store)
    counts = ask(overview.counts)
    if counts["frames"] == 0:
        empty("frames", "This store is new.")
        _first_steps()
        if ask(overview.broken):
            news.show_broken()
        _upload()
        return
    cycle = ask(overview.last_cycle)
    _totals(counts)
    if visit.person:
        st.markdown(f"Good to see you, **{literal(visit.person)}**.")
    _questions(visit, cycle)
    _best_candidates()
    _sky()
    _pipelines()
    _failures()
    _upload()


@st.fragment
def _questions(visit: Visit, cycle: dict[str, Any] | None) -> None:
    """The four questions; another span draws only them anew."""
    since = news.since_when(visit, cycle)
    parts = st.grid(4, min_column_width=245, gap="medium")
    shown: tuple[Callable[[], None], ...] = (
        partial(news.show_new, since),
        news.show_needed,
        news.show_broken,
        partial(news.show_changed, since),
    )
    for part in shown:
        with parts.cell(), st.container(gap="xxsmall"):
            part()


def _first_steps() -> None:
    st.subheader("From here to a list you can trust")
    st.markdown(
        "1. **Images.** The button above makes a simulated night in about a minute. Or upload an "
        "image below, or start a scan of a folder or an archive on the Jobs page.\n"
        "2. **Anomalies** then lists what was found, the most unusual first, with its p-value.\n"
        "3. **Verify** shows one object at a time; your labels are what the list is made of.\n"
        "4. Back on **Anomalies**, filter by label and export the list."
    )
    st.page_link("views/jobs.py", label="Scan images of my own", icon=":material/schedule:")


def _totals(counts: dict[str, Any]) -> None:
    cards = st.grid(4, min_column_width=180)
    _card(cards, "Frames", counts["frames"], f"newest {age(counts['newest_frame_at'])}")
    _card(cards, "Runs", counts["runs"], f"newest {age(counts['newest_run_at'])}",
          "Current runs: the latest of each pipeline on each frame.")  # fmt: skip
    _card(cards, "Detections", counts["detections"], f"{count(counts['candidates'])} candidates")
    labelled_at = counts["newest_label_at"]
    _card(cards, "Labelled by people", counts["labelled"],
          f"last {age(labelled_at)}" if labelled_at else "nobody labelled yet")  # fmt: skip


def _card(cards: Any, label: str, n: int, below: str, help_text: str | None = None) -> None:
    cards.metric(
        label, count(n), border=True, height="stretch", delta=below, delta_color="off",
        delta_arrow="off", help=help_text,
    )  # fmt: skip


def _best_candidates() -> None:
    st.subheader("Candidates that nobody has labelled")
    rows = ask(anomalies.page_of_detections, limit=6, verdict="candidate", label="unlabelled").rows
    if not rows:
        nothing("There are none.")
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


def _sky() -> None:
    st.subheader("Where and when")
    cells = ask(sky.cells)
    if not cells:
        nothing("No detection has a position on the sky yet: a position needs an image with a WCS.")
    else:
        fullest = max(cells, key=lambda row: row["n"])
        with st.container(horizontal=True, gap="medium"):
            with st.container(width="content"), loading(HEIGHT):
                _whole_sky(cells)
            with st.container(width="content"), loading(HEIGHT):
                _field(fullest)
    found = ask(sky.time_line)
    if found:
        charts.show(
            charts.time_line(found, ask(jobs.page_of_cycles, limit=100).rows),
            f"Bars: current detections by the {found[0]['step']} they were found, coloured by "
            "the machine's verdict. Triangles: cycles, orange where one failed.",
        )


def _whole_sky(cells: list[dict[str, Any]]) -> None:
    placed = sum(row["n"] for row in cells)
    charts.show(
        sky_chart(cells, ask(sky.best_placed)),
        f"{counted(placed, 'detection')} in {counted(len(cells), 'cell')} of 4°, brighter is more; "
        "diamonds are the best candidates. Mollweide, RA and Dec in degrees, east left.",
        width="content",
    )


def _field(fullest: dict[str, Any]) -> None:
    rows = ask(sky.field, fullest["ra_deg"], fullest["dec_deg"])
    picked = st.altair_chart(
        field_chart(rows, PICKED), width="content", key="field", on_select="rerun",
        selection_mode=[PICKED], alt="Detections of the fullest field by position and verdict",
    )  # fmt: skip
    chosen = [row["detection_id"] for row in picked.selection.get(PICKED, [])]
    if chosen:
        st.page_link(
            "views/anomalies.py",
            label="Open the chosen detection",
            icon=":material/open_in_new:",
            query_params={"detection": chosen[0]},
        )
    else:
        st.caption(f"{counted(len(rows), 'detection')} about {fullest['ra_deg']:.0f}°, "
                   f"{fullest['dec_deg']:+.0f}°. Click a point to open it.")  # fmt: skip


def _pipelines() -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Pipelines")
        for row in ask(overview.pipelines):
            st.page_link(
                "views/models.py",
                label=f"**{row['pipeline']}**: {count(row['ok'])} ok, "
                f"{count(row['not_applicable'])} not applicable, {count(row['failed'])} failed; "
                f"median {number(row['median_duration_s'], 's')} a frame",
                query_params={"model": row["model_digest"]},
            )
            st.caption(made_by(row["model"], row["model_digest"], row["newest_run_at"]))
    with right:
        found = ask(anomalies.verdict_counts)
        if found:
            charts.show(
                charts.verdicts(found),
                "Machine verdicts on the current detections; what people said is counted apart.",
            )


def _failures() -> None:
    failures = ask(overview.failures, 20)
    if not failures:
        return
    with st.expander(f"The newest failures, whether mended or not ({len(failures)})"):
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
