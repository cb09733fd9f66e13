"""What happened and what is going on: cycles, requests, schedules, models."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, only_row, page_of, rows_to_fetch, start_of_page


def page_of_cycles(store: Reads, *, limit: int = 50, cursor: str | None = None) -> Page:
    """List cycles, newest first.

    `unaccounted` = asked - known - stored - duplicates - failed - ignored: 0 once a cycle is done.

    Raises StoreError on a cursor or limit that cannot be.
    """
    started_at, cycle_id = start_of_page(cursor, keys=2)
    rows = store.rows(
        """
        SELECT *, asked - known - stored - duplicates - failed - ignored AS unaccounted,
               epoch(finished_at - started_at) AS duration_s
        FROM cycles
        WHERE $2::VARCHAR IS NULL OR (started_at, cycle_id) < ($1::TIMESTAMPTZ, $2)
        ORDER BY started_at DESC, cycle_id DESC LIMIT $3
        """,
        [started_at, cycle_id, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ("started_at", "cycle_id"))


def active_requests(store: Reads) -> list[Row]:
    """List the requests that wait or run, in the order they were asked."""
    return store.rows("""
        SELECT * FROM requests WHERE state IN ('queued', 'running') ORDER BY asked_at, request_id
    """)


def recent_requests(store: Reads, limit: int = 20) -> list[Row]:
    """List the newest requests, whatever their state."""
    return store.rows("SELECT * FROM requests ORDER BY asked_at DESC, request_id LIMIT $1", [limit])


def events(store: Reads, limit: int = 50, cycle_id: str | None = None) -> list[Row]:
    """List the newest events with their cycle's source, of one cycle when named."""
    return store.rows(
        """
        SELECT e.*, c.source FROM run_events e LEFT JOIN cycles c USING (cycle_id)
        WHERE $1::VARCHAR IS NULL OR cycle_id = $1
        ORDER BY event_number DESC LIMIT $2
        """,
        [cycle_id, limit],
    )


def schedules(store: Reads) -> list[Row]:
    """List the schedules with the state and start of the last cycle of each."""
    return store.rows("""
        SELECT s.*, arg_max(c.state, c.started_at) AS last_state,
               max(c.started_at) AS last_started_at, count(c.cycle_id) AS cycles
        FROM schedules s LEFT JOIN cycles c USING (schedule_id)
        GROUP BY ALL ORDER BY s.created_at, s.schedule_id
    """)


def models(store: Reads) -> list[Row]:
    """List the models with how many of the current runs each made and when last."""
    return store.rows("""
        SELECT m.model_digest, m.name, m.pipeline, m.card, m.registered_at,
               count(r.run_id) AS current_runs, max(r.finished_at) AS newest_run_at
        FROM models m LEFT JOIN current_runs r USING (model_digest)
        GROUP BY ALL ORDER BY m.pipeline, m.registered_at DESC, m.model_digest
    """)


def training_runs(store: Reads, limit: int = 50) -> list[Row]:
    """List the newest trainings."""
    return store.rows(
        "SELECT * FROM training_runs ORDER BY started_at DESC, training_id LIMIT $1", [limit]
    )


def failed_intake(store: Reads, limit: int = 50) -> list[Row]:
    """List the newest items of sources that could not be taken in, with the reason."""
    return store.rows(
        """
        SELECT source, uri, part, reason, cycle_id, seen_at FROM intake
        WHERE outcome = 'failed' ORDER BY seen_at DESC, intake_id LIMIT $1
        """,
        [limit],
    )


def cycle(store: Reads, cycle_id: str) -> Row | None:
    """Return one cycle with how long it took in seconds, None when there is none."""
    return only_row(
        store.rows(
            """
            SELECT *, epoch(finished_at - started_at) AS duration_s,
                   asked - known - stored - duplicates - failed - ignored AS unaccounted
            FROM cycles WHERE cycle_id = $1
            """,
            [cycle_id],
        )
    )


def runs_of_cycle(store: Reads, cycle_id: str) -> list[Row]:
    """List what each pipeline did in a cycle: runs by status, and the seconds that they took."""
    return store.rows(
        """
        SELECT pipeline, count(*) AS runs, count(*) FILTER (status = 'ok') AS ok,
               count(*) FILTER (status = 'not_applicable') AS not_applicable,
               count(*) FILTER (status = 'failed') AS failed, sum(duration_s) AS seconds,
               sum(duration_s) / nullif(sum(sum(duration_s)) OVER (), 0) AS share
        FROM runs WHERE cycle_id = $1 GROUP BY pipeline ORDER BY pipeline
        """,
        [cycle_id],
    )


def log_of_cycle(store: Reads, cycle_id: str) -> list[Row]:
    """List a cycle's events and its failed items, oldest first."""
    return store.rows(
        """
        SELECT happened_at, kind, message FROM run_events WHERE cycle_id = $1
        UNION ALL
        SELECT seen_at, 'item failed', concat_ws(' ', uri, part, reason) FROM intake
        WHERE cycle_id = $1 AND outcome = 'failed'
        UNION ALL
        SELECT finished_at, pipeline || ' failed', reason FROM runs
        WHERE cycle_id = $1 AND status = 'failed'
        ORDER BY happened_at
        """,
        [cycle_id],
    )


def realised_rates(store: Reads, limit: int = 10) -> list[Row]:
    """List the newest realised rate of each source and policy, as it was told."""
    return store.rows(
        """
        SELECT c.source, c.policy, e.message, e.happened_at
        FROM run_events e JOIN cycles c USING (cycle_id) WHERE e.kind = 'realised rate'
        QUALIFY row_number() OVER (
            PARTITION BY c.source, c.policy ORDER BY e.event_number DESC) = 1
        ORDER BY e.event_number DESC LIMIT $1
        """,
        [limit],
    )


def calibrations(store: Reads, limit: int = 50) -> list[Row]:
    """List the calibrations of sources, newest first; `expired` says that drift was seen since."""
    return store.rows(
        """
        SELECT c.*, x.source IS NOT NULL AS expired FROM calibrations c
        LEFT JOIN expired_calibrations x USING (source, model_digest)
        ORDER BY c.made_at DESC, c.calibration_id LIMIT $1
        """,
        [limit],
    )
