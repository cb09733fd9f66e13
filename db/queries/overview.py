"""The start page: what there is, what is new or changed, what needs a person, what is broken."""

from __future__ import annotations

from datetime import datetime

from db.queries.paging import Reads, Row, only_row


def counts(store: Reads) -> Row:
    """Count what the store holds, with the time of the newest frame, run and label."""
    return store.rows("""
        WITH found AS (
            SELECT count(*) AS detections, count(*) FILTER (verdict = 'candidate') AS candidates
            FROM detections JOIN current_runs USING (run_id)
        )
        SELECT
            (SELECT count(*) FROM frames) AS frames,
            (SELECT count(*) FROM observations) AS observations,
            (SELECT max(stored_at) FROM frames) AS newest_frame_at,
            (SELECT count(*) FROM current_runs) AS runs,
            (SELECT max(finished_at) FROM runs) AS newest_run_at,
            found.detections, found.candidates,
            (SELECT count(DISTINCT detection_id) FROM current_labels) AS labelled,
            (SELECT max(labelled_at) FROM labels) AS newest_label_at
        FROM found
    """)[0]


def pipelines(store: Reads) -> list[Row]:
    """Count the current runs of each pipeline by how they ended, with the model of the newest."""
    return store.rows("""
        SELECT r.pipeline,
               count(*) FILTER (r.status = 'ok') AS ok,
               count(*) FILTER (r.status = 'not_applicable') AS not_applicable,
               count(*) FILTER (r.status = 'failed') AS failed,
               max(r.finished_at) AS newest_run_at,
               median(r.duration_s) FILTER (r.status = 'ok') AS median_duration_s,
               arg_max(coalesce(m.name, ''), r.finished_at) AS model,
               arg_max(r.model_digest, r.finished_at) AS model_digest
        FROM current_runs r LEFT JOIN models m USING (model_digest)
        GROUP BY r.pipeline ORDER BY r.pipeline
    """)


def new_since(store: Reads, moment: datetime | None) -> list[Row]:
    """Count what came after `moment` (everything when None), each with the newest of its kind.

    Kinds, in this order: cycle, frame, detection, candidate, answer (of a catalogue), label.
    """
    return store.rows(
        """
        WITH since AS (SELECT coalesce($1::TIMESTAMPTZ, '-infinity'::TIMESTAMPTZ) AS t),
        found AS (
            SELECT d.verdict, d.detected_at
            FROM detections d JOIN current_runs USING (run_id), since
            WHERE d.detected_at > since.t
        )
        SELECT 'cycle' AS kind, count(*) AS n, max(started_at) AS newest_at
        FROM cycles, since WHERE started_at > since.t
        UNION ALL SELECT 'frame', count(*), max(stored_at) FROM frames, since
        WHERE stored_at > since.t
        UNION ALL SELECT 'detection', count(*), max(detected_at) FROM found
        UNION ALL SELECT 'candidate', count(*), max(detected_at) FROM found
        WHERE verdict = 'candidate'
        UNION ALL SELECT 'answer', count(*), max(coalesce(recorded_at, asked_at))
        FROM catalogue_queries, since
        WHERE detection_id IS NOT NULL AND coalesce(recorded_at, asked_at) > since.t
        UNION ALL SELECT 'label', count(*), max(labelled_at) FROM labels, since
        WHERE label <> 'undo' AND labelled_at > since.t
        """,
        [moment],
    )


def changed_since(store: Reads, moment: datetime | None, limit: int = 8) -> list[Row]:
    """List what was changed after `moment` (ever when None), newest first.

    `kind` is model, choice (a promotion or roll-back), calibration, policy, schedule, judged_anew
    (frames with a newer run of the anomaly pipeline than an earlier one) or mask; `subject` says
    which, `detail` what happened to it, `n` how many.
    """
    return store.rows(
        """
        WITH since AS (SELECT coalesce($1::TIMESTAMPTZ, '-infinity'::TIMESTAMPTZ) AS t),
        changes AS (
            SELECT 'model' AS kind, name AS subject, pipeline AS detail, 1 AS n,
                   registered_at AS changed_at, model_digest AS id FROM models
            UNION ALL
            SELECT 'choice', c.role, c.action || ' by ' || c.chosen_by, 1, c.chosen_at,
                   c.model_digest FROM model_choices c
            UNION ALL
            SELECT 'calibration', source, 'version ' || version || ', by ' || cause, 1, made_at,
                   model_digest FROM calibrations
            UNION ALL
            SELECT 'policy', pipeline, '', 1, registered_at, policy_digest FROM policies
            UNION ALL
            SELECT 'schedule', source, CASE WHEN paused THEN 'paused'
                   WHEN changed_at = created_at THEN 'new' ELSE 'changed' END, 1, changed_at,
                   schedule_id FROM schedules
        )
        SELECT kind, subject, detail, n, changed_at, id FROM changes, since
        WHERE changed_at > since.t
        UNION ALL
        SELECT 'judged_anew', '', '', count(DISTINCT r.frame_digest), max(r.finished_at), NULL
        FROM runs r, since
        WHERE r.pipeline = 'anomaly' AND r.finished_at > since.t AND EXISTS (
            SELECT 1 FROM runs b WHERE b.frame_digest = r.frame_digest
            AND b.pipeline = 'anomaly' AND b.finished_at < r.finished_at)
        HAVING count(*) > 0
        UNION ALL
        SELECT 'mask', '', '', count(*), max(edited_at), NULL FROM mask_edits, since
        WHERE action <> 'undo' AND edited_at > since.t HAVING count(*) > 0
        ORDER BY changed_at DESC, kind, subject LIMIT $2
        """,
        [moment, limit],
    )


def last_cycle(store: Reads) -> Row | None:
    """Return the cycle that started last."""
    return only_row(
        store.rows("SELECT * FROM cycles ORDER BY started_at DESC, cycle_id DESC LIMIT 1")
    )


def needs_a_person(store: Reads) -> list[Row]:
    """Count what waits for somebody, with the time of what has waited longest.

    Kinds: candidate, near_miss and uncertain (current detections without a label), paused
    (schedules), unknown_message (nobody can say whether it arrived). Only kinds that wait.
    """
    return store.rows("""
        SELECT d.verdict AS kind, count(*) AS n, min(d.detected_at) AS oldest_at
        FROM detections d JOIN current_runs USING (run_id)
        WHERE d.verdict IN ('candidate', 'near_miss', 'uncertain')
          AND d.detection_id NOT IN (SELECT detection_id FROM current_labels)
        GROUP BY d.verdict
        UNION ALL
        SELECT 'paused', count(*), min(changed_at) FROM schedules WHERE paused HAVING count(*) > 0
        UNION ALL
        SELECT 'unknown_message', count(*), min(sent_at) FROM notifications
        WHERE state LIKE 'unknown%' HAVING count(*) > 0
        ORDER BY list_position(
            ['candidate', 'near_miss', 'uncertain', 'paused', 'unknown_message'], kind)
    """)


def broken(store: Reads) -> list[Row]:
    """Count what is wrong now, each kind with its newest case; kinds that are well are left out.

    Kinds: run (current runs that failed), item (of a source, that failed and did not come in
    later), cycle (failed, without a later one over the same source that was done), request
    (failed, without a later one of its kind that was done), service (left alone after failures),
    calibration (expired by drift), message (refused). `subject` and `reason` are of the newest.
    """
    return store.rows("""
        WITH wrong AS (
            SELECT 'run' AS kind, pipeline AS subject, reason, finished_at AS failed_at
            FROM current_runs WHERE status = 'failed'
            UNION ALL
            SELECT 'item', i.source, i.reason, i.seen_at FROM intake i
            WHERE i.outcome = 'failed' AND NOT EXISTS (
                SELECT 1 FROM intake l WHERE l.source = i.source AND l.uri = i.uri
                AND l.part = i.part AND l.outcome IN ('stored', 'duplicate')
                AND l.seen_at > i.seen_at)
            UNION ALL
            SELECT 'cycle', c.source, c.error, coalesce(c.finished_at, c.started_at) FROM cycles c
            WHERE c.state = 'failed' AND NOT EXISTS (
                SELECT 1 FROM cycles l WHERE l.source = c.source AND l.state = 'done'
                AND l.started_at > c.started_at)
            UNION ALL
            SELECT 'request', r.kind, r.error, coalesce(r.finished_at, r.asked_at) FROM requests r
            WHERE r.state = 'failed' AND r.kind <> 'scan' AND NOT EXISTS (
                SELECT 1 FROM requests l WHERE l.kind = r.kind AND l.state = 'done'
                AND l.asked_at > r.asked_at)
            UNION ALL
            SELECT 'service', service, last_error, coalesce(last_failure_at, changed_at)
            FROM service_health WHERE breaker = 'open'
            UNION ALL
            SELECT 'calibration', source, reason, measured_at FROM expired_calibrations
            UNION ALL
            SELECT 'message', target, state, sent_at FROM notifications WHERE state LIKE 'failed%'
        )
        SELECT kind, count(*) AS n, max(failed_at) AS newest_at,
               arg_max(subject, failed_at) AS subject, arg_max(reason, failed_at) AS reason
        FROM wrong GROUP BY kind
        ORDER BY list_position(
            ['service', 'calibration', 'cycle', 'run', 'item', 'request', 'message'], kind)
    """)


def failures(store: Reads, limit: int = 20) -> list[Row]:
    """List the newest failures of every kind: what failed, on what, why and when."""
    return store.rows(
        """
        SELECT r.pipeline AS what, coalesce(o.object_id, r.frame_digest) AS subject,
               r.reason, r.finished_at AS failed_at
        FROM current_runs r LEFT JOIN current_observations o USING (frame_digest)
        WHERE r.status = 'failed'
        UNION ALL
        SELECT 'intake', source || ': ' || uri, reason, seen_at
        FROM intake WHERE outcome = 'failed'
        UNION ALL
        SELECT 'cycle', source, error, coalesce(finished_at, started_at)
        FROM cycles WHERE state = 'failed'
        UNION ALL
        SELECT kind, request_id, error, coalesce(finished_at, asked_at)
        FROM requests WHERE state = 'failed' AND kind <> 'scan'
        ORDER BY failed_at DESC, what, subject LIMIT $1
        """,
        [limit],
    )
