"""Where on the sky and when detections were made, in cells that a chart can bear."""

from __future__ import annotations

from db.queries.paging import Reads, Row

RING_DEG = 4.0
"""Height of a ring of cells; a ring holds as many as keep them about as wide as high."""


def cells(store: Reads, ring_deg: float = RING_DEG) -> list[Row]:
    """Count the current detections with a position in cells of nearly equal area.

    `ra_deg` and `dec_deg` are a cell's centre, `n` its detections, `candidates` those among them
    that the machine holds for such, `newest_at` when the last one was found. With rings of 4
    degrees there are at most 2,600 cells, however many detections.
    """
    return store.rows(
        """
        WITH placed AS (
            SELECT d.ra_deg, d.verdict, d.detected_at,
                   least(floor((d.dec_deg + 90) / $1), ceil(180 / $1) - 1) AS ring
            FROM detections d JOIN current_runs USING (run_id)
            WHERE d.ra_deg IS NOT NULL AND d.dec_deg IS NOT NULL
        ),
        sized AS (
            SELECT *, ($1 * (ring + 0.5)) - 90 AS dec_deg,
                   greatest(1, round(360 / $1 * cos(radians($1 * (ring + 0.5) - 90)))) AS cells
            FROM placed
        )
        SELECT (floor((ra_deg % 360 + 360) % 360 / 360 * cells) + 0.5) * 360 / cells AS ra_deg,
               dec_deg, count(*) AS n, count(*) FILTER (verdict = 'candidate') AS candidates,
               max(detected_at) AS newest_at
        FROM sized GROUP BY 1, 2 ORDER BY n, ra_deg, dec_deg
        """,
        [ring_deg],
    )


def best_placed(store: Reads, limit: int = 100) -> list[Row]:
    """List the candidates with a position that have the smallest p-values."""
    return store.rows(
        """
        SELECT d.detection_id, d.ra_deg, d.dec_deg, d.p_value, o.object_id, d.frame_digest
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE d.verdict = 'candidate' AND d.ra_deg IS NOT NULL AND d.dec_deg IS NOT NULL
        ORDER BY d.p_value NULLS LAST, d.detection_id LIMIT $1
        """,
        [limit],
    )


def time_line(store: Reads) -> list[Row]:
    """Count the current detections by the hour, day or month that they were found, by verdict.

    `step` is what one count covers: the finest that keeps the line under about 100 steps.
    """
    return store.rows("""
        WITH found AS (
            SELECT d.detected_at, d.verdict FROM detections d JOIN current_runs USING (run_id)
        ),
        span AS (
            SELECT CASE WHEN max(detected_at) - min(detected_at) <= INTERVAL 4 DAYS THEN 'hour'
                        WHEN max(detected_at) - min(detected_at) <= INTERVAL 100 DAYS THEN 'day'
                        ELSE 'month' END AS step
            FROM found
        )
        SELECT date_trunc(step, detected_at) AS found_at, step, verdict, count(*) AS n
        FROM found, span GROUP BY ALL ORDER BY found_at, verdict
    """)


def field(
    store: Reads, ra_deg: float, dec_deg: float, radius_deg: float = RING_DEG, limit: int = 600
) -> list[Row]:
    """List the current detections about a place, those with the smallest p-values first.

    The place is a box of `radius_deg` to each side, with right ascension stretched by declination.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.ra_deg, d.dec_deg, d.p_value, d.verdict, o.object_id,
               d.frame_digest
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE abs(d.dec_deg - $2) <= $3
          AND abs((d.ra_deg - $1 + 540) % 360 - 180) * greatest(cos(radians($2)), 0.01) <= $3
        ORDER BY d.verdict = 'artefact', d.p_value NULLS LAST, d.detection_id LIMIT $4
        """,
        [ra_deg, dec_deg, radius_deg, limit],
    )
