"""Detections: the ranked list, its facets, and one detection in full."""

from __future__ import annotations

from db.queries.paging import Page, Reads, Row, only_row, page_of, rows_to_fetch, start_of_page


def page_of_detections(
    store: Reads,
    *,
    limit: int = 50,
    cursor: str | None = None,
    verdict: str | None = None,
    source: str | None = None,
    label: str | None = None,
    text: str | None = None,
) -> Page:
    """List the detections of the current runs, most anomalous first.

    `label` keeps those to which some person gave it ("unlabelled": nobody gave any); `text` is
    looked for in object, class and reason, case ignored. `calibration_expired` says that the drift
    monitor raised its flag over the source and no calibration followed; `missed_by_decades` is
    log10 of a near miss's p-value over the rate that candidates are allowed. Order: artefacts after
    all others, p_value with unknown last, rank_score from high to low, detection_id.

    Raises StoreError on a cursor or limit that cannot be.
    """
    artefact, p_value, rank_score, detection_id = start_of_page(cursor, keys=4)
    rows = store.rows(
        """
        WITH said AS (
            SELECT detection_id, count(*) FILTER (label = 'accept') AS accepts,
                   count(*) FILTER (label = 'reject') AS rejects,
                   count(*) FILTER (label = 'unsure') AS unsures,
                   list(DISTINCT label) AS labels
            FROM current_labels GROUP BY detection_id
        )
        SELECT d.*, o.source, o.object_id, coalesce(s.accepts, 0) AS accepts,
               coalesce(s.rejects, 0) AS rejects, coalesce(s.unsures, 0) AS unsures,
               r.model_digest, m.name AS model, d.verdict = 'artefact' AS is_artefact,
               x.source IS NOT NULL AS calibration_expired, n.decades AS missed_by_decades
        FROM detections d
        JOIN current_runs r USING (run_id)
        LEFT JOIN models m USING (model_digest)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        LEFT JOIN said s ON s.detection_id = d.detection_id
        LEFT JOIN expired_calibrations x
               ON x.source = o.source AND x.model_digest = r.model_digest
        LEFT JOIN near_misses n ON n.detection_id = d.detection_id
        WHERE ($1::VARCHAR IS NULL OR d.verdict = $1)
          AND ($2::VARCHAR IS NULL OR o.source = $2)
          AND ($3::VARCHAR IS NULL OR ($3 = 'unlabelled' AND s.labels IS NULL)
               OR list_contains(s.labels, $3))
          AND ($4::VARCHAR IS NULL
               OR contains(lower(concat_ws(' ', o.object_id, d.class_name, d.reason)), lower($4)))
          AND ($7::VARCHAR IS NULL
               OR (d.verdict = 'artefact', coalesce(d.p_value, 2),
                   coalesce(-d.rank_score, 'inf'::DOUBLE), d.detection_id)
                > ($8::BOOLEAN, coalesce($5::DOUBLE, 2),
                   coalesce(-$6::DOUBLE, 'inf'::DOUBLE), $7))
        ORDER BY d.verdict = 'artefact', coalesce(d.p_value, 2),
                 coalesce(-d.rank_score, 'inf'::DOUBLE), d.detection_id
        LIMIT $9
        """,
        [verdict, source, label, text, p_value, rank_score, detection_id, artefact,
         rows_to_fetch(limit)],
    )  # fmt: skip
    return page_of(rows, limit, ("is_artefact", "p_value", "rank_score", "detection_id"))


def verdict_counts(store: Reads) -> list[Row]:
    """Count the current detections by the machine's verdict, most frequent first."""
    return store.rows("""
        SELECT verdict, count(*) AS n FROM detections JOIN current_runs USING (run_id)
        GROUP BY verdict ORDER BY n DESC, verdict
    """)


def label_counts(store: Reads) -> Row:
    """Count the current detections by what people said; one can count under several labels."""
    return store.rows("""
        SELECT count(DISTINCT d.detection_id) FILTER (l.label = 'accept') AS accept,
               count(DISTINCT d.detection_id) FILTER (l.label = 'reject') AS reject,
               count(DISTINCT d.detection_id) FILTER (l.label = 'unsure') AS unsure,
               count(DISTINCT d.detection_id) FILTER (l.label IS NULL) AS unlabelled
        FROM detections d JOIN current_runs USING (run_id)
        LEFT JOIN current_labels l USING (detection_id)
    """)[0]


def p_values(store: Reads, bins: int = 20) -> list[Row]:
    """Count the current detections in equal bins of p-value over (0, 1]."""
    return store.rows(
        """
        SELECT b.bin / $1::DOUBLE AS low, (b.bin + 1) / $1::DOUBLE AS high, count(d.p_value) AS n
        FROM range($1::BIGINT) b(bin)
        LEFT JOIN (SELECT p_value FROM detections JOIN current_runs USING (run_id)) d
               ON least(ceil(d.p_value * $1), $1) - 1 = b.bin
        GROUP BY b.bin ORDER BY b.bin
        """,
        [bins],
    )


def detection(store: Reads, detection_id: str) -> Row | None:
    """Return one detection with its frame, run, model and policy; `current` says if still shown."""
    return only_row(
        store.rows(
            """
            SELECT d.*, o.source, o.object_id, o.uri, o.mjd, o.band, o.instrument,
                   f.height, f.width, f.preview_file, f.unit,
                   r.pipeline, r.model_digest, r.policy_digest, r.cycle_id, m.name AS model,
                   p.policy, d.run_id IN (SELECT run_id FROM current_runs) AS current,
                   (o.source, r.model_digest) IN (
                       SELECT (source, model_digest) FROM expired_calibrations
                   ) AS calibration_expired
            FROM detections d
            LEFT JOIN runs r USING (run_id)
            LEFT JOIN frames f ON f.frame_digest = d.frame_digest
            LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
            LEFT JOIN models m USING (model_digest)
            LEFT JOIN policies p USING (policy_digest)
            WHERE d.detection_id = $1
            """,
            [detection_id],
        )
    )


def scores(store: Reads, detection_id: str) -> list[Row]:
    """List every method's score of one detection, most significant first."""
    return store.rows(
        """
        SELECT method, raw, percentile, p_value FROM scores WHERE detection_id = $1
        ORDER BY p_value NULLS LAST, method
        """,
        [detection_id],
    )


def label_log(store: Reads, detection_id: str) -> list[Row]:
    """List all that people said about one detection, oldest first; `current` marks what holds."""
    return store.rows(
        """
        SELECT l.*, l.label_id IN (SELECT label_id FROM current_labels) AS current
        FROM labels l WHERE l.detection_id = $1 ORDER BY l.labelled_at, l.label_id
        """,
        [detection_id],
    )


def neighbours(store: Reads, detection_id: str, limit: int = 8) -> list[Row]:
    """List the current detections whose embeddings point the most nearly the same way.

    `similarity` is the cosine in [-1, 1] between vectors of the same embedder and length.
    """
    return store.rows(
        """
        SELECT d.detection_id, d.verdict, d.p_value, d.class_name, d.cutout_file, o.object_id,
               list_cosine_similarity(e.vector, mine.vector)::DOUBLE AS similarity
        FROM embeddings mine
        JOIN embeddings e ON e.embedder = mine.embedder AND len(e.vector) = len(mine.vector)
                         AND e.detection_id <> mine.detection_id
        JOIN detections d ON d.detection_id = e.detection_id
        JOIN current_runs r USING (run_id)
        LEFT JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE mine.detection_id = $1
        ORDER BY similarity DESC, d.detection_id LIMIT $2
        """,
        [detection_id, limit],
    )


def detections_of_frame(store: Reads, frame_digest: str) -> list[Row]:
    """List the current detections on one frame, most anomalous first."""
    return store.rows(
        """
        SELECT d.* FROM detections d JOIN current_runs USING (run_id)
        WHERE d.frame_digest = $1
        ORDER BY d.p_value NULLS LAST, d.rank_score DESC NULLS LAST, d.detection_id
        """,
        [frame_digest],
    )
