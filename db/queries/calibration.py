"""How far the probabilities can be believed: measured on held-out data."""

from __future__ import annotations

from db.queries.paging import Reads, Row


def reports(store: Reads) -> list[Row]:
    """List the newest calibration report of each model on each data set."""
    return store.rows("""
        SELECT c.*, m.name AS model
        FROM calibration_reports c LEFT JOIN models m USING (model_digest)
        QUALIFY row_number() OVER (
            PARTITION BY c.model_digest, c.dataset ORDER BY c.measured_at DESC, c.report_id
        ) = 1
        ORDER BY c.pipeline, m.name, c.dataset, c.report_id
    """)


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
