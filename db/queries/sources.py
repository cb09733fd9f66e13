"""How sources and services fare, for the Jobs page."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def sources(store: Reads) -> list[Row]:
    """List every source that was scanned or listed, with what came of it.

    `waiting` items were listed by an archive and are not taken in yet; `cursor` is JSON text, None
    for sources that need none; `candidates_per_100` is over the frames stored from the source.
    """
    return store.rows("""
        WITH came AS (
            SELECT source, count(*) FILTER (outcome = 'stored') AS stored,
                   count(*) FILTER (outcome = 'duplicate') AS duplicates,
                   count(*) FILTER (outcome = 'failed') AS failed,
                   count(*) FILTER (outcome = 'ignored') AS ignored,
                   max(seen_at) FILTER (outcome <> 'failed') AS last_success_at
            FROM intake GROUP BY source
        ),
        near AS (SELECT source, count(*) AS near_duplicates FROM near_duplicates GROUP BY source),
        waits AS (
            SELECT i.source, count(*) AS waiting FROM source_items i
            ANTI JOIN intake t USING (source, uri, fingerprint) GROUP BY i.source
        ),
        names AS (SELECT source FROM came UNION SELECT source FROM source_cursors)
        SELECT source, c.cursor, coalesce(c.listed, 0) AS listed, c.listed_at,
               coalesce(w.waiting, 0) AS waiting, coalesce(came.stored, 0) AS stored,
               coalesce(came.duplicates, 0) AS duplicates,
               coalesce(near.near_duplicates, 0) AS near_duplicates,
               coalesce(came.failed, 0) AS failed, coalesce(came.ignored, 0) AS ignored,
               came.last_success_at, coalesce(c.last_error, '') AS last_error, c.failed_at
        FROM names LEFT JOIN source_cursors c USING (source) LEFT JOIN came USING (source)
        LEFT JOIN near USING (source) LEFT JOIN waits w USING (source)
        ORDER BY greatest(c.listed_at, came.last_success_at) DESC NULLS LAST, source
    """)


def services(store: Reads) -> list[Row]:
    """List every outside service that was asked, with its breaker and its quotas as text."""
    return store.rows("""
        SELECT h.*, q.quotas FROM service_health h LEFT JOIN (
            SELECT service, string_agg(
                used || ' of ' || allowed || CASE period_s WHEN 3600 THEN ' an hour'
                    WHEN 86400 THEN ' a day' ELSE ' in ' || period_s || ' s' END,
                ', ' ORDER BY period_s) AS quotas
            FROM service_quota GROUP BY service
        ) q USING (service) ORDER BY service
    """)


def near_duplicates(store: Reads, limit: int = 50) -> list[Row]:
    """List the newest frames that were not stored because they look like a stored one."""
    return store.rows(
        "SELECT * FROM near_duplicates ORDER BY seen_at DESC, link_id LIMIT $1", [limit]
    )


def released(store: Reads) -> Row:
    """How many files, frames and bytes were given up to keep within the disk budget."""
    return store.rows("""
        SELECT count(*) AS files, count(DISTINCT frame_digest) AS frames,
               coalesce(sum(bytes), 0)::BIGINT AS bytes, max(released_at) AS last_at
        FROM released_files
    """)[0]
