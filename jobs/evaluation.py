"""After a cycle: how well its probabilities held, against exact truth and against people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.queries import mask_edits
from db.store import Store
from engine.metrics.calibration import tempered
from engine.metrics.measurement import Variant, measured
from jobs.cycle import Cycle
from jobs.ids import stable_id
from jobs.masks import edited_mask, probability_of
from jobs.packing import unpack_arrays
from jobs.records import Record
from jobs.registration import add_measurement, report_id_of

MOST_FRAMES = 64
NIGHTS, PEOPLE = "simulated nights", "people's masks"

Judged = tuple[NDArray[np.float32], NDArray[np.bool_]]


def evaluate_cycle(cycle: Cycle) -> None:
    """Measure the cosmic-ray model on this night where truth is known, and on edited masks.

    A measurement of the same pixels and answers is stored once, so that a cycle that found
    nothing new adds nothing.
    """
    if cycle.source.name.startswith("sim:"):
        _evaluate_night(cycle)
    _evaluate_people(cycle)


def _evaluate_night(cycle: Cycle) -> None:
    """The truth is made again from the night's name: no pipeline ever had it at hand."""
    choice = cycle.plan.cosmicrays
    rows = _runs_with_truth(cycle.store, cycle.source.name, choice.card.digest,
                            choice.policy.digest)  # fmt: skip
    dataset = f"{cycle.source.name}, exact truth"
    scope = f"{choice.policy.digest}-{len(rows)}"
    if rows and _is_new(cycle, scope, dataset):
        temperature = _temperature(cycle)
        variants = cycle.workers.run(measure, _gathered(cycle.store, rows), dataset, temperature)
        _keep(cycle, variants, scope=scope, series=NIGHTS, frames=len(rows))


def _evaluate_people(cycle: Cycle) -> None:
    """Only pixels that a person spoke about count: the others would be judged by the model itself.

    Where a frame was confirmed as a whole, all of its pixels count.
    """
    choice = cycle.plan.cosmicrays
    runs = mask_edits.edited_runs(
        cycle.store, choice.card.digest, choice.policy.digest, MOST_FRAMES
    )
    if not runs:
        return
    scope = stable_id(choice.policy.digest, *_edits_that_hold(cycle.store, runs))
    if _is_new(cycle, scope, PEOPLE):
        judged = [judged_pixels(cycle.store, run) for run in runs]
        probability = np.concatenate([p for p, _ in judged])
        truth = np.concatenate([y for _, y in judged])
        variants = cycle.workers.run(_variants, probability, truth, PEOPLE, _temperature(cycle))
        _keep(cycle, variants, scope=scope, series=PEOPLE, frames=len(runs))


def judged_pixels(store: Store, run: dict[str, Any]) -> Judged:
    """The probabilities of a run on the pixels that people spoke about, and what they said."""
    said = edited_mask(store, run)
    probability = probability_of(store, run).astype(np.float32)
    return probability[said.judged], said.mask[said.judged]


def measure(
    frames: list[tuple[str, int, bytes]], dataset: str, temperature: float = 1.0
) -> tuple[Variant, ...]:
    """Compare stored probabilities with the truth of the same simulated frames.

    Labels follow the rule that the networks were trained on and are checked by elsewhere:
    `engine.cosmicrays.hits.hit_labels`, ambiguous pixels left out.
    """
    from engine.cosmicrays.hits import hit_labels, label_noise
    from engine.sky import simulated_again

    probability, truth = [], []
    for object_id, size, packed in frames:
        made = simulated_again(object_id, size=size)
        charge = made.truth.cosmic_ray_charge_e
        if charge is None:
            continue
        clean = made.frame.pixels - charge
        read_noise_e = made.frame.origin.read_noise_e or 0.0
        noise = label_noise(clean, read_noise_e, sky_e=float(np.median(clean)))
        labels, ambiguous = hit_labels(charge, noise)
        stated = unpack_arrays(packed)["probability"].astype(np.float32)
        probability.append(stated[~ambiguous])
        truth.append(labels[~ambiguous])
    return _variants(np.concatenate(probability), np.concatenate(truth), dataset, temperature)


def _variants(
    probability: NDArray[np.float32], truth: NDArray[np.bool_], dataset: str, temperature: float
) -> tuple[Variant, ...]:
    """Report with the model's temperature, and with it undone where it is not 1.

    The store keeps the mean over weight samples, each tempered; undoing the temperature on that
    mean is exact for one sample and close to it for several.
    """
    plain = None if temperature == 1.0 else tempered(probability, 1.0 / temperature)
    return measured(probability, truth, dataset=dataset, untempered=plain)


def _keep(
    cycle: Cycle, variants: tuple[Variant, ...], *, scope: str, series: str, frames: int
) -> None:
    choice = cycle.plan.cosmicrays
    record = Record()
    add_measurement(
        record, [variant.as_dict() for variant in variants], choice.card, cycle.clock(),
        scope=scope, series=series, frames=frames,
    )  # fmt: skip
    cycle.store.write(record.rows)


def _is_new(cycle: Cycle, scope: str, dataset: str) -> bool:
    report_id = report_id_of(scope, cycle.plan.cosmicrays.card.digest, dataset)
    sql = "SELECT 1 FROM calibration_reports WHERE report_id = ?"
    return not cycle.store.rows(sql, [report_id])


def _temperature(cycle: Cycle) -> float:
    return float(cycle.plan.cosmicrays.card.calibration.get("temperature", 1.0))


def _edits_that_hold(store: Store, runs: list[dict[str, Any]]) -> list[str]:
    return [
        row["edit_id"]
        for run in runs
        for row in mask_edits.edits_of_frame(store, run["frame_digest"])
        if row["current"]
    ]


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
