"""After a cycle over the simulated sky: how well its probabilities held against exact truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from db.store import Store
from engine.metrics.calibration import CalibrationReport, calibration_report
from jobs.cycle import Cycle
from jobs.packing import unpack_arrays
from jobs.records import Record
from jobs.registration import add_report, report_id_of

MOST_FRAMES = 64


def evaluate_cycle(cycle: Cycle) -> None:
    """Store one calibration report for the cosmic-ray model on this night, where truth is known.

    The truth is made again from the night's name, so that no pipeline ever had it at hand.
    """
    if not cycle.source.name.startswith("sim:"):
        return
    choice = cycle.plan.cosmicrays
    rows = _runs_with_truth(cycle.store, cycle.source.name, choice.card.digest,
                            choice.policy.digest)  # fmt: skip
    if not rows:
        return
    scope = f"{choice.policy.digest}-{len(rows)}"
    dataset = f"{cycle.source.name} ({len(rows)} frames, exact truth)"
    report_id = report_id_of(scope, choice.card.digest, dataset)
    if cycle.store.rows("SELECT 1 FROM calibration_reports WHERE report_id = ?", [report_id]):
        return
    report = cycle.workers.run(measure, _gathered(cycle.store, rows), dataset)
    record = Record()
    add_report(
        record, report.as_dict(), choice.pipeline, choice.card.digest, cycle.clock(), scope=scope
    )
    cycle.store.write(record.rows)


def measure(frames: list[tuple[str, int, bytes]], dataset: str) -> CalibrationReport:
    """Compare stored probabilities with the truth of the same simulated frames.

    Labels follow the rule that the networks were trained on and are checked by elsewhere:
    `engine.cosmicrays.hits.hit_labels`, ambiguous pixels left out.
    """
    from engine.cosmicrays.hits import hit_labels, label_noise
    from engine.sky import simulated_again

    probability, truth, ignore = [], [], []
    for object_id, size, packed in frames:
        made = simulated_again(object_id, size=size)
        charge = made.truth.cosmic_ray_charge_e
        if charge is None:
            continue
        clean = made.frame.pixels - charge
        read_noise_e = made.frame.origin.read_noise_e or 0.0
        noise = label_noise(clean, read_noise_e, sky_e=float(np.median(clean)))
        labels, ambiguous = hit_labels(charge, noise)
        probability.append(unpack_arrays(packed)["probability"].astype(np.float32).ravel())
        truth.append(labels.ravel())
        ignore.append(ambiguous.ravel())
    return calibration_report(
        np.concatenate(probability), np.concatenate(truth), np.concatenate(ignore), dataset=dataset
    )


def _runs_with_truth(
    store: Store, source: str, model_digest: str, policy_digest: str
) -> list[dict[str, Any]]:
    return store.rows(
        """SELECT DISTINCT o.object_id, f.height, c.probability_array
           FROM cosmic_ray_runs c JOIN runs r USING (run_id)
           JOIN observations o USING (frame_digest) JOIN frames f USING (frame_digest)
           WHERE o.source = ? AND r.model_digest = ? AND r.policy_digest = ?
           ORDER BY o.object_id LIMIT ?""",
        [source, model_digest, policy_digest, MOST_FRAMES],
    )


def _gathered(store: Store, rows: list[dict[str, Any]]) -> list[tuple[str, int, bytes]]:
    return [
        (row["object_id"], row["height"], store.files.get(row["probability_array"])) for row in rows
    ]
