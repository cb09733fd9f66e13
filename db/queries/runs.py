"""Runs that gave no result: not applicable, or failed."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, page_of, rows_to_fetch, start_of_page


def not_applicable(store: Reads, pipeline: str, limit: int = 200) -> list[Row]:
    """List the frames that a pipeline had nothing to say about, with the reasons."""
    return store.rows(
        """
        SELECT r.frame_digest, o.source, o.object_id, r.reason, m.name AS model, r.finished_at
        FROM current_runs r
        LEFT JOIN current_observations o USING (frame_digest)
        LEFT JOIN models m USING (model_digest)
        WHERE r.pipeline = $1 AND r.status = 'not_applicable'
        ORDER BY r.finished_at DESC, r.run_id LIMIT $2
        """,
        [pipeline, limit],
    )


def outcomes(store: Reads, pipeline: str) -> Row:
    """Count the current runs of one pipeline by how they ended."""
    return store.rows(
        """
        SELECT count(*) FILTER (status = 'ok') AS ok,
               count(*) FILTER (status = 'not_applicable') AS not_applicable,
               count(*) FILTER (status = 'failed') AS failed,
               max(finished_at) AS newest_run_at
        FROM current_runs WHERE pipeline = $1
        """,
        [pipeline],
    )[0]


def page_of_runs(
    store: Reads,
    *,
    limit: int = 50,
    cursor: str | None = None,
    pipeline: str | None = None,
    status: str | None = None,
) -> Page:
    """List all runs, newest first, with model and object.

    Raises StoreError on a cursor or limit that cannot be.
    """
    finished_at, run_id = start_of_page(cursor, keys=2)
    rows = store.rows(
        """
        SELECT r.*, m.name AS model, o.source, o.object_id
        FROM runs r
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o USING (frame_digest)
        WHERE ($1::VARCHAR IS NULL OR r.pipeline = $1)
          AND ($2::VARCHAR IS NULL OR r.status = $2)
          AND ($4::VARCHAR IS NULL OR (r.finished_at, r.run_id) < ($3::TIMESTAMPTZ, $4))
        ORDER BY r.finished_at DESC, r.run_id DESC LIMIT $5
        """,
        [pipeline, status, finished_at, run_id, rows_to_fetch(limit)],
    )
    return page_of(rows, limit, ("finished_at", "run_id"))
