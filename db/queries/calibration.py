"""How far the probabilities can be believed: measured on held-out data."""

from __future__ import annotations

from db.queries.paging import Reads, Row, only_row


def reports(store: Reads) -> list[Row]:
    """List the newest calibration report of each model on each data set.

    These are the reports over all pixels with the model's temperature; `variants` has the others
    of the same measurement.
    """
    return store.rows("""
        SELECT c.*, m.name AS model
        FROM calibration_reports c LEFT JOIN models m USING (model_digest)
        WHERE c.pixels = 'all' AND c.stage = 'shipped'
        QUALIFY row_number() OVER (
            PARTITION BY c.model_digest, c.dataset ORDER BY c.measured_at DESC, c.report_id
        ) = 1
        ORDER BY c.pipeline, m.name, c.dataset, c.report_id
    """)


def variants(store: Reads, report_id: str) -> list[Row]:
    """List all reports of the measurement that a report belongs to, itself first."""
    return store.rows(
        """
        SELECT v.*, m.name AS model
        FROM calibration_reports v LEFT JOIN models m USING (model_digest)
        WHERE v.report_id = $1 OR v.measurement_id = (
            SELECT measurement_id FROM calibration_reports WHERE report_id = $1)
        ORDER BY v.report_id <> $1, v.pixels, v.stage
        """,
        [report_id],
    )


def history(store: Reads, limit: int = 2000) -> list[Row]:
    """List every report with the model's temperature, oldest first: the newest `limit` of them."""
    return store.rows(
        """
        SELECT * FROM (
            SELECT c.*, m.name AS model, coalesce(c.series, c.dataset) AS line
            FROM calibration_reports c LEFT JOIN models m USING (model_digest)
            WHERE c.stage = 'shipped'
            ORDER BY c.measured_at DESC, c.report_id LIMIT $1
        ) ORDER BY measured_at, report_id
        """,
        [limit],
    )


def card(store: Reads, model_digest: str) -> Row | None:
    """Return what a model's card says of its calibration and metrics, as JSON text."""
    return only_row(
        store.rows(
            """
            SELECT card->'$.calibration' AS calibration, card->'$.metrics' AS metrics
            FROM models WHERE model_digest = $1
            """,
            [model_digest],
        )
    )


def reliability(store: Reads, report_id: str) -> list[Row]:
    """List the bins of a report's reliability diagram, lowest probability first."""
    return store.rows(
        "SELECT * FROM reliability_bins WHERE report_id = $1 ORDER BY bin", [report_id]
    )


def risk_coverage(store: Reads, report_id: str) -> list[Row]:
    """List the points of a report's risk-coverage curve, smallest coverage first."""
    return store.rows(
        "SELECT * FROM risk_coverage_points WHERE report_id = $1 ORDER BY coverage", [report_id]
    )
