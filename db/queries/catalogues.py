"""What the catalogues answered. A failed service proves nothing: three values, never two."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def summary(store: Reads) -> Row:
    """Count the current detections by what the catalogues' latest answers add up to.

    match: some service knows an object there. no_match: every service that this store ever asked
    answered that it knows none. not_determined: anything less than that. not_asked: no query.
    """
    return store.rows("""
        WITH latest AS (
            SELECT detection_id, service, answer FROM catalogue_queries
            WHERE detection_id IS NOT NULL
            QUALIFY row_number() OVER (
                PARTITION BY detection_id, service ORDER BY asked_at DESC, query_id DESC
            ) = 1
        ), known AS (SELECT count(DISTINCT service) AS services FROM catalogue_queries),
        stated AS (
            SELECT d.detection_id,
                   CASE WHEN count(l.service) = 0 THEN 'not_asked'
                        WHEN bool_or(l.answer = 'match') THEN 'match'
                        WHEN count(*) FILTER (l.answer = 'no_match') = any_value(known.services)
                        THEN 'no_match' ELSE 'not_determined' END AS state
            FROM detections d JOIN current_runs USING (run_id) CROSS JOIN known
            LEFT JOIN latest l USING (detection_id) GROUP BY d.detection_id
        )
        SELECT count(*) FILTER (state = 'match') AS match,
               count(*) FILTER (state = 'no_match') AS no_match,
               count(*) FILTER (state = 'not_determined') AS not_determined,
               count(*) FILTER (state = 'not_asked') AS not_asked
        FROM stated
    """)[0]


def services(store: Reads) -> list[Row]:
    """Say how each service has answered, when it last did, and why it last did not."""
    return store.rows("""
        SELECT service, count(*) AS asked,
               count(*) FILTER (answer = 'match') AS match,
               count(*) FILTER (answer = 'no_match') AS no_match,
               count(*) FILTER (answer = 'not_determined') AS not_determined,
               max(asked_at) FILTER (answer <> 'not_determined') AS last_answer_at,
               max(asked_at) AS last_asked_at,
               arg_max(reason, asked_at) FILTER (answer = 'not_determined') AS last_reason,
               arg_max(answer, asked_at) AS last_answer
        FROM catalogue_queries GROUP BY service ORDER BY service
    """)


def answers(store: Reads, detection_id: str) -> list[Row]:
    """List the latest answer of each service on one detection, with its nearest match."""
    return store.rows(
        """
        SELECT q.service, q.answer, q.reason, q.radius_arcsec, q.asked_at,
               m.object_name, m.object_type, m.separation_arcsec,
               (SELECT count(*) FROM catalogue_matches a WHERE a.query_id = q.query_id) AS matches
        FROM catalogue_queries q
        LEFT JOIN catalogue_matches m ON m.query_id = q.query_id AND m.rank = (
            SELECT min(rank) FROM catalogue_matches a WHERE a.query_id = q.query_id)
        WHERE q.detection_id = $1
        QUALIFY row_number() OVER (
            PARTITION BY q.service ORDER BY q.asked_at DESC, q.query_id DESC
        ) = 1
        ORDER BY q.service
        """,
        [detection_id],
    )
