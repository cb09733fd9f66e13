"""After a cycle: what its detections allow to claim, and whether the calibration still holds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.store import Store
from engine.anomalies.discoveries import benjamini_hochberg
from engine.anomalies.drift import Drift, measure_drift
from jobs.cycle import Cycle
from jobs.ids import stable_id
from jobs.rows import Record

MOST = 500


def conclude_night(cycle: Cycle, *, rate: float) -> None:
    """Store the night's list at a false-discovery rate, and a drift report of its source."""
    record = Record()
    add_list(record, cycle, rate)
    add_drift(record, cycle)
    if record.rows:
        cycle.store.write(record.rows)


def add_list(record: Record, cycle: Cycle, rate: float) -> None:
    """Add the list of this cycle's calibrated detections; artefacts take no part."""
    rows = cycle.store.rows(
        """SELECT d.detection_id, d.p_value FROM detections d JOIN runs r USING (run_id)
           WHERE r.cycle_id = ? AND d.p_value IS NOT NULL AND d.verdict <> 'artefact'
           ORDER BY d.p_value, d.rank_score DESC NULLS LAST, d.detection_id""",
        [cycle.cycle_id],
    )
    if not rows:
        return
    calibrated_on = _calibrated_on(cycle)
    p_values = np.array([row["p_value"] for row in rows])
    found = benjamini_hochberg(p_values, rate=rate, calibrated_on=calibrated_on)
    list_id = stable_id("night list", cycle.cycle_id, rate)
    record.row(
        "night_lists",
        list_id=list_id,
        cycle_id=cycle.cycle_id,
        source=cycle.source.name,
        rate=rate,
        tested=len(rows),
        claimed=len(found.rows) if found.is_discovery else 0,
        smallest_p_value=float(p_values.min()),
        calibrated_on=calibrated_on,
        calibration_needed=found.calibration_needed,
        message=found.message,
        made_at=cycle.clock(),
    )
    for place, row in enumerate(found.rows, start=1):
        record.row(
            "night_list_rows",
            list_id=list_id,
            place=place,
            detection_id=rows[row]["detection_id"],
            adjusted_p_value=float(found.adjusted[row]),
            is_discovery=found.is_discovery,
        )


def add_drift(record: Record, cycle: Cycle) -> None:
    """Add a drift report over the newest detections of the cycle's source."""
    model = cycle.plan.anomaly.card
    percentiles = newest_percentiles(cycle.store, cycle.source.name, model.digest)
    if not percentiles:
        return
    first, newest = _vectors(cycle.store, cycle.source.name, model.digest)
    drift: Drift = cycle.workers.run(_measured, percentiles, first, newest)
    record.row(
        "drift_reports",
        report_id=stable_id("drift", cycle.cycle_id, model.digest),
        source=cycle.source.name,
        reference=model.name,
        model_digest=model.digest,
        n=drift.n,
        median_percentile=drift.median_percentile,
        most_shifted=drift.most_shifted,
        ks_p_value=drift.ks_p_value,
        domain_auc=drift.domain_auc,
        expired=drift.expired,
        reason=drift.reason,
        cycle_id=cycle.cycle_id,
        measured_at=cycle.clock(),
    )


def newest_percentiles(
    store: Store, source: str, model_digest: str
) -> dict[str, NDArray[np.float64]]:
    """Percentiles by method of the newest 500 detections of a source that are no artefacts."""
    rows = store.rows(
        """SELECT s.method, list(s.percentile) AS percentiles
           FROM scores s JOIN (
               SELECT d.detection_id FROM detections d JOIN runs r USING (run_id)
               JOIN current_observations o ON o.frame_digest = d.frame_digest
               WHERE o.source = ? AND r.model_digest = ? AND d.verdict <> 'artefact'
                 AND d.p_value IS NOT NULL
               ORDER BY d.detected_at DESC, d.detection_id LIMIT ?) USING (detection_id)
           WHERE s.percentile IS NOT NULL GROUP BY s.method ORDER BY s.method""",
        [source, model_digest, MOST],
    )
    return {row["method"]: np.asarray(row["percentiles"], dtype=np.float64) for row in rows}


def _measured(
    percentiles: dict[str, NDArray[np.float64]],
    first: NDArray[np.float32] | None,
    newest: NDArray[np.float32] | None,
) -> Drift:
    return measure_drift(percentiles, first=first, newest=newest)


def _vectors(
    store: Store, source: str, model_digest: str
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Search vectors of the source's first and newest detections; none while they overlap."""
    rows = store.rows(
        """SELECT e.vector FROM embeddings e JOIN detections d USING (detection_id)
           JOIN runs r USING (run_id)
           JOIN current_observations o ON o.frame_digest = d.frame_digest
           WHERE o.source = ? AND r.model_digest = ? AND d.verdict <> 'artefact'
           ORDER BY d.detected_at, d.detection_id""",
        [source, model_digest],
    )
    if len(rows) < 2 * MOST:
        return None, None
    vectors = np.asarray([row["vector"] for row in (*rows[:MOST], *rows[-MOST:])], np.float32)
    return vectors[:MOST], vectors[MOST:]


def _calibrated_on(cycle: Cycle) -> int | None:
    rows: list[dict[str, Any]] = cycle.store.rows(
        "SELECT card FROM models WHERE model_digest = ?", [cycle.plan.anomaly.card.digest]
    )
    if not rows:
        return None
    card = json.loads(rows[0]["card"])
    size = card.get("calibration", {}).get("rows")
    return int(size) if isinstance(size, int) else None
