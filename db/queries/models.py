"""Models: what each was fitted on, how it fared over time, and which one holds."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def models(store: Reads) -> list[Row]:
    """List every model with its card (JSON text), what it made, and whether it is in use.

    `current_runs` are the runs of today that it made, `all_runs` those ever; `role` is the role
    that it holds now, None without one; `in_use` says that it holds a role or made the newest run
    of its pipeline; `fitted_on` and `calibrated_on` count rows where the card or a calibration
    says how many; `source` is what it was calibrated for, None for those that were shipped.
    """
    return store.rows("""
        WITH made AS (
            SELECT model_digest, count(*) AS all_runs, max(finished_at) AS newest_run_at
            FROM runs GROUP BY model_digest
        ),
        held AS (
            SELECT model_digest, count(*) AS current_runs FROM current_runs GROUP BY model_digest
        ),
        newest AS (
            SELECT arg_max(model_digest, finished_at) AS model_digest
            FROM current_runs WHERE status = 'ok' GROUP BY pipeline
        )
        SELECT m.model_digest, m.name, m.pipeline, m.card, m.registered_at,
               coalesce(h.current_runs, 0) AS current_runs, coalesce(r.all_runs, 0) AS all_runs,
               r.newest_run_at, c.role,
               c.role IS NOT NULL OR n.model_digest IS NOT NULL AS in_use,
               coalesce(k.fitted_on, TRY_CAST(m.card->>'$.architecture.fitted_on' AS BIGINT))
                   AS fitted_on,
               coalesce(k.calibrated_on, TRY_CAST(m.card->>'$.calibration.rows' AS BIGINT))
                   AS calibrated_on,
               k.source, k.version
        FROM models m
        LEFT JOIN made r USING (model_digest) LEFT JOIN held h USING (model_digest)
        LEFT JOIN newest n USING (model_digest)
        LEFT JOIN current_models c ON c.model_digest = m.model_digest
        LEFT JOIN calibrations k ON k.model_digest = m.model_digest
        QUALIFY row_number() OVER (PARTITION BY m.model_digest ORDER BY k.version DESC) = 1
        ORDER BY m.pipeline, in_use DESC, coalesce(r.newest_run_at, m.registered_at) DESC,
                 m.model_digest
    """)


def reports(store: Reads, model_digest: str) -> list[Row]:
    """List what calibration was measured of a model, oldest first: all pixels, as shipped."""
    return store.rows(
        """
        SELECT coalesce(series, dataset) AS line, dataset, n, positives, ece, brier, nll, aurc,
               temperature, measured_at
        FROM calibration_reports
        WHERE model_digest = $1 AND coalesce(pixels, 'all') = 'all'
          AND coalesce(stage, 'shipped') = 'shipped'
        ORDER BY measured_at, report_id
        """,
        [model_digest],
    )


def drift(store: Reads, model_digest: str) -> list[Row]:
    """List how far each source had moved from what a model was calibrated on, oldest first."""
    return store.rows(
        "SELECT * FROM drift_reports WHERE model_digest = $1 ORDER BY measured_at, report_id",
        [model_digest],
    )


def work(store: Reads, model_digest: str) -> list[Row]:
    """Count by day what a model's runs gave, oldest first."""
    return store.rows(
        """
        SELECT date_trunc('day', finished_at) AS day, count(*) AS runs,
               count(*) FILTER (status = 'ok') AS ok,
               count(*) FILTER (status = 'not_applicable') AS not_applicable,
               count(*) FILTER (status = 'failed') AS failed, median(duration_s) AS median_s
        FROM runs WHERE model_digest = $1 GROUP BY day ORDER BY day
        """,
        [model_digest],
    )


def training(store: Reads, model_digest: str) -> Row | None:
    """Return the training that made a model; None for what came with the program."""
    rows = store.rows(
        "SELECT * FROM training_runs WHERE model_digest = $1 "
        "ORDER BY started_at DESC, training_id LIMIT 1",
        [model_digest],
    )
    return rows[0] if rows else None


def choices(store: Reads, limit: int = 50) -> list[Row]:
    """List who promoted or took back which model, newest first."""
    return store.rows(
        """
        SELECT c.role, c.action, c.reason, c.chosen_by, c.chosen_at, c.model_digest,
               coalesce(m.name, 'nothing learned') AS model
        FROM model_choices c LEFT JOIN models m USING (model_digest)
        ORDER BY c.number DESC LIMIT $1
        """,
        [limit],
    )
