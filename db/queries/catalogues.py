"""What the catalogues answered. A failed service proves nothing: three values, never two."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, keyed_page, rows_to_fetch, start_of_page

STATES = ("match", "no_match", "not_determined", "not_asked")


def summary(store: Reads) -> Row:
    """Count the current detections by what the catalogues' latest answers add up to.

    match: some service knows an object there. no_match: every service that counts (those that are
    configured, or all that were ever asked where no owner named any) answered that it knows none.
    not_determined: anything less than that; of those, `waiting` are asked again, the others can
    not be settled (outside a coverage, without a date). not_asked: no query; of those,
    `without_position` cannot be asked.
    """
    return store.rows("""
        SELECT count(*) FILTER (s.state = 'match') AS match,
               count(*) FILTER (s.state = 'no_match') AS no_match,
               count(*) FILTER (s.state = 'not_determined') AS not_determined,
               count(*) FILTER (s.state IS NULL) AS not_asked,
               count(*) FILTER (s.state = 'not_determined' AND NOT s.settled) AS waiting,
               count(*) FILTER (s.state IS NULL AND d.ra_deg IS NULL) AS without_position
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN object_states s USING (detection_id)
    """)[0]


def services(store: Reads) -> list[Row]:
    """Say how each service has answered, when it last did, and why it last did not.

    `asked`, `match`, `no_match` and `not_determined` count all questions ever put; the `current_`
    counts are of the latest answers on the current detections. `counted` services are those whose
    word it takes to call an object unknown.
    """
    return store.rows("""
        WITH asked AS (
            SELECT service, count(*) AS asked,
                   count(*) FILTER (answer = 'match') AS match,
                   count(*) FILTER (answer = 'no_match') AS no_match,
                   count(*) FILTER (answer = 'not_determined') AS not_determined,
                   max(asked_at) FILTER (answer <> 'not_determined') AS last_answer_at,
                   max(asked_at) AS last_asked_at,
                   arg_max(reason, asked_at) FILTER (answer = 'not_determined') AS last_reason,
                   arg_max(answer, asked_at) AS last_answer
            FROM catalogue_queries GROUP BY service
        ), held AS (
            SELECT a.service,
                   count(*) FILTER (a.answer = 'match') AS current_match,
                   count(*) FILTER (a.answer = 'no_match') AS current_no_match,
                   count(*) FILTER (a.cause = 'trouble') AS current_trouble,
                   count(*) FILTER (a.cause = 'outside_coverage') AS current_outside_coverage,
                   count(*) FILTER (a.cause = 'no_date') AS current_no_date
            FROM current_answers a JOIN detections USING (detection_id)
            JOIN current_runs USING (run_id) GROUP BY a.service
        ), named AS (
            SELECT service FROM counted_services UNION SELECT service FROM asked
        )
        SELECT n.service, coalesce(c.title, n.service) AS title, c.coverage, c.url,
               n.service IN (SELECT service FROM counted_services) AS counted,
               coalesce(a.asked, 0) AS asked, coalesce(a.match, 0) AS match,
               coalesce(a.no_match, 0) AS no_match,
               coalesce(a.not_determined, 0) AS not_determined,
               a.last_answer_at, a.last_asked_at, a.last_reason, a.last_answer,
               coalesce(h.current_match, 0) AS current_match,
               coalesce(h.current_no_match, 0) AS current_no_match,
               coalesce(h.current_trouble, 0) AS current_trouble,
               coalesce(h.current_outside_coverage, 0) AS current_outside_coverage,
               coalesce(h.current_no_date, 0) AS current_no_date
        FROM named n LEFT JOIN asked a USING (service) LEFT JOIN held h USING (service)
        LEFT JOIN catalogue_services c USING (service)
        ORDER BY n.service
    """)


def answers(store: Reads, detection_id: str) -> list[Row]:
    """List the latest answer of each service on one detection, with its nearest match.

    `cause` says why one is not determined; `chance` is the probability of an unrelated object as
    near as the nearest match.
    """
    return store.rows(
        """
        SELECT q.service, q.answer, q.reason, q.cause, q.radius_arcsec, q.asked_at, q.chance,
               q.wide_arcsec, q.wide_objects,
               m.object_name, m.object_type, m.separation_arcsec,
               (SELECT count(*) FROM catalogue_matches a WHERE a.query_id = q.query_id) AS matches
        FROM current_answers q
        LEFT JOIN catalogue_matches m ON m.query_id = q.query_id AND m.rank = (
            SELECT min(rank) FROM catalogue_matches a WHERE a.query_id = q.query_id)
        WHERE q.detection_id = $1
        ORDER BY q.service
        """,
        [detection_id],
    )


def page_of_objects(
    store: Reads,
    *,
    limit: int = 50,
    cursor: str | None = None,
    state: str | None = None,
    verdict: str | None = None,
    text: str | None = None,
) -> Page:
    """List the current detections that have a place on the sky, with what is known there.

    `state` is one of `STATES`; `text` is looked for in the names of the detection's object and of
    the nearest one, case ignored. The nearest object is that of any service; `answered` of
    `services` gave an answer, `oldest_at` is the age of the oldest. Order: artefacts last, p_value
    with unknown last, then detection_id.

    Raises StoreError on a cursor or limit that cannot be.
    """
    rows = store.rows(
        """
        WITH nearest AS (
            SELECT q.detection_id, m.object_name, m.object_type, m.separation_arcsec, q.service,
                   q.chance
            FROM current_answers q JOIN catalogue_matches m USING (query_id)
            QUALIFY row_number() OVER (
                PARTITION BY q.detection_id ORDER BY m.separation_arcsec, q.service) = 1
        )
        SELECT d.detection_id, d.ra_deg, d.dec_deg, d.verdict, d.p_value, o.object_id, o.source,
               d.frame_digest, coalesce(s.state, 'not_asked') AS state,
               coalesce(s.settled, false) AS settled, n.object_name, n.object_type,
               n.separation_arcsec, n.chance, n.service AS nearest_in, s.radius_arcsec,
               s.answered, s.services, s.oldest_at, s.reason,
               (d.verdict = 'artefact')::DOUBLE AS key_0, coalesce(d.p_value, 2) AS key_1
        FROM detections d JOIN current_runs r USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN object_states s ON s.detection_id = d.detection_id
        LEFT JOIN nearest n ON n.detection_id = d.detection_id
        WHERE d.ra_deg IS NOT NULL
          AND ($1::VARCHAR IS NULL OR coalesce(s.state, 'not_asked') = $1)
          AND ($2::VARCHAR IS NULL OR d.verdict = $2)
          AND ($3::VARCHAR IS NULL
               OR contains(lower(concat_ws(' ', o.object_id, n.object_name)), lower($3)))
          AND ($6::VARCHAR IS NULL
               OR (key_0, key_1, d.detection_id) > ($4::DOUBLE, $5::DOUBLE, $6))
        ORDER BY key_0, key_1, d.detection_id
        LIMIT $7
        """,
        [state, verdict, text, *start_of_page(cursor, keys=3), rows_to_fetch(limit)],
    )
    return keyed_page(rows, limit)


def regions(store: Reads, *, state: str | None = None, verdict: str | None = None) -> list[Row]:
    """List the places of the current detections, with state and search radius, for a region file.

    Order: p_value with unknown last, then detection_id.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.ra_deg, d.dec_deg, d.verdict, o.object_id, d.frame_digest,
               coalesce(s.state, 'not_asked') AS state, s.radius_arcsec
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN object_states s ON s.detection_id = d.detection_id
        WHERE d.ra_deg IS NOT NULL
          AND ($1::VARCHAR IS NULL OR coalesce(s.state, 'not_asked') = $1)
          AND ($2::VARCHAR IS NULL OR d.verdict = $2)
        ORDER BY d.p_value NULLS LAST, d.detection_id
        """,
        [state, verdict],
    )
