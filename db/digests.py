"""Digests: what a period brought, gathered once and kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from db.queries.paging import Reads, Row, only_row


def last_digest(store: Reads) -> Row | None:
    """The digest that reaches furthest, None without one."""
    return only_row(store.rows("SELECT * FROM digests ORDER BY until_at DESC, digest_id LIMIT 1"))


def digests(store: Reads, limit: int = 60) -> list[Row]:
    """List the newest digests."""
    return store.rows("SELECT * FROM digests ORDER BY until_at DESC, digest_id LIMIT $1", [limit])


def digest(store: Reads, digest_id: str) -> Row | None:
    """Return one digest, None when there is none."""
    return only_row(store.rows("SELECT * FROM digests WHERE digest_id = $1", [digest_id]))


def messages(store: Reads, limit: int = 60) -> list[Row]:
    """List the newest messages with what became of them."""
    return store.rows(
        "SELECT * EXCLUDE (body) FROM notifications "
        "ORDER BY sent_at DESC, notification_id LIMIT $1",
        [limit],
    )


def candidates_between(store: Reads, since: datetime, until: datetime, limit: int) -> list[Row]:
    """List the current candidates found in a period, best first, with what is known of each.

    `told` says that some target was told at once; `known` is the catalogues' state, `nearest` the
    nearest object that one listed.
    """
    return store.rows(
        """
        WITH nearest AS (
            SELECT a.detection_id, arg_min(m.object_name, m.separation_arcsec) AS name,
                   arg_min(m.object_type, m.separation_arcsec) AS type,
                   min(m.separation_arcsec) AS separation_arcsec
            FROM current_answers a JOIN catalogue_matches m USING (query_id)
            WHERE a.answer = 'match' GROUP BY a.detection_id
        )
        SELECT d.detection_id, d.p_value, d.reason, d.ra_deg, d.dec_deg, d.class_name,
               d.cutout_file, o.source, o.object_id, coalesce(s.state, 'not asked') AS known,
               n.name AS nearest, n.type AS nearest_type, n.separation_arcsec,
               d.detection_id IN (SELECT detection_id FROM announcements) AS told,
               x.source IS NOT NULL AS calibration_expired
        FROM detections d JOIN current_runs r USING (run_id)
        JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN object_states s ON s.detection_id = d.detection_id
        LEFT JOIN nearest n ON n.detection_id = d.detection_id
        LEFT JOIN expired_calibrations x
               ON x.source = o.source AND x.model_digest = r.model_digest
        WHERE d.verdict = 'candidate' AND d.detected_at > $1 AND d.detected_at <= $2
        ORDER BY d.p_value, d.detection_id LIMIT $3
        """,
        [since, until, limit],
    )


def figures_between(store: Reads, since: datetime, until: datetime) -> Row:
    """Count what a period brought."""
    return store.rows(
        """
        SELECT (SELECT count(*) FROM frames WHERE stored_at > $1 AND stored_at <= $2) AS frames,
               (SELECT count(*) FROM cycles WHERE started_at > $1 AND started_at <= $2) AS cycles,
               (SELECT count(*) FROM detections d JOIN current_runs USING (run_id)
                WHERE d.verdict = 'candidate' AND d.detected_at > $1 AND d.detected_at <= $2)
                   AS candidates,
               (SELECT count(*) FROM current_labels WHERE labelled_at > $1 AND labelled_at <= $2)
                   AS labels
        """,
        [since, until],
    )[0]


def failures_between(store: Reads, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """List what failed in a period, by kind and reason, the most frequent first."""
    return store.rows(
        """
        SELECT what, reason, count(*) AS n FROM (
            SELECT 'cycle over ' || source AS what, error AS reason FROM cycles
            WHERE state = 'failed' AND finished_at > $1 AND finished_at <= $2
            UNION ALL
            SELECT 'item of ' || source, reason FROM intake
            WHERE outcome = 'failed' AND seen_at > $1 AND seen_at <= $2
            UNION ALL
            SELECT pipeline, reason FROM runs
            WHERE status = 'failed' AND finished_at > $1 AND finished_at <= $2
            UNION ALL
            SELECT 'service ' || service, last_error FROM service_health
            WHERE breaker <> 'closed' AND last_failure_at <= $2
            UNION ALL
            SELECT 'calibration of ' || source, 'expired: ' || reason FROM expired_calibrations
            WHERE measured_at > $1 AND measured_at <= $2
            UNION ALL
            SELECT 'schedule', message FROM run_events
            WHERE kind IN ('skipped', 'schedule', 'owner', 'clock')
              AND happened_at > $1 AND happened_at <= $2
            UNION ALL
            SELECT 'message', state FROM notifications
            WHERE state LIKE 'failed%' AND sent_at > $1 AND sent_at <= $2
        ) GROUP BY what, reason ORDER BY n DESC, what, reason LIMIT 100
        """,
        [since, until],
    )
