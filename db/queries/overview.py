"""The start page: what there is, what is new, what needs a person, what is broken."""

from __future__ import annotations

from datetime import datetime

from db.queries.paging import Reads, Row, only_row


def counts(store: Reads) -> Row:
    """Count what the store holds, with the time of the newest frame, run and label."""
    return store.rows("""
        SELECT
            (SELECT count(*) FROM frames) AS frames,
            (SELECT count(*) FROM observations) AS observations,
            (SELECT max(stored_at) FROM frames) AS newest_frame_at,
            (SELECT count(*) FROM current_runs) AS runs,
            (SELECT max(finished_at) FROM runs) AS newest_run_at,
            (SELECT count(*) FROM detections JOIN current_runs USING (run_id)) AS detections,
            (SELECT count(*) FROM detections JOIN current_runs USING (run_id)
             WHERE verdict = 'candidate') AS candidates,
            (SELECT count(DISTINCT detection_id) FROM current_labels) AS labelled,
            (SELECT max(labelled_at) FROM labels) AS newest_label_at
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


def new_since(store: Reads, moment: datetime | None) -> Row:
    """Count what came after `moment` (everything when None)."""
    return store.rows(
        """
        SELECT
            (SELECT count(*) FROM frames
             WHERE $1::TIMESTAMPTZ IS NULL OR stored_at > $1::TIMESTAMPTZ) AS frames,
            (SELECT count(*) FROM detections JOIN current_runs USING (run_id)
             WHERE $1::TIMESTAMPTZ IS NULL OR detected_at > $1::TIMESTAMPTZ) AS detections,
            (SELECT count(*) FROM detections JOIN current_runs USING (run_id)
             WHERE verdict = 'candidate'
               AND ($1::TIMESTAMPTZ IS NULL OR detected_at > $1::TIMESTAMPTZ)) AS candidates,
            (SELECT count(*) FROM labels WHERE label <> 'undo'
               AND ($1::TIMESTAMPTZ IS NULL OR labelled_at > $1::TIMESTAMPTZ)) AS labels
        """,
        [moment],
    )[0]


def last_cycle(store: Reads) -> Row | None:
    """Return the cycle that started last."""
    return only_row(
        store.rows("SELECT * FROM cycles ORDER BY started_at DESC, cycle_id DESC LIMIT 1")
    )


def needs_a_person(store: Reads) -> Row:
    """Count the detections that nobody has labelled, by the verdicts that ask for a look."""
    return store.rows("""
        SELECT count(*) FILTER (d.verdict = 'candidate') AS candidates,
               count(*) FILTER (d.verdict = 'near_miss') AS near_misses,
               count(*) FILTER (d.verdict = 'uncertain') AS uncertain
        FROM detections d JOIN current_runs USING (run_id)
        WHERE d.detection_id NOT IN (SELECT detection_id FROM current_labels)
    """)[0]


def broken(store: Reads) -> Row:
    """Count what went wrong: runs, items of sources, cycles, catalogue answers."""
    return store.rows("""
        SELECT
            (SELECT count(*) FROM current_runs WHERE status = 'failed') AS failed_runs,
            (SELECT count(*) FROM intake WHERE outcome = 'failed') AS failed_intake,
            (SELECT count(*) FROM cycles WHERE state = 'failed') AS failed_cycles,
            (SELECT count(*) FROM requests WHERE state = 'failed') AS failed_requests
    """)[0]


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
