"""After a simulated night: how often a policy really called a normal a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from db.cycles import add_event
from jobs.cycle import Cycle

MOST_FRAMES = 64
KIND = "realised rate"
Judged = tuple[float, float, int, float, bool]
"""One detection: x, y, size_px, p-value, and whether the machine called it a candidate."""


@dataclass(frozen=True)
class Realised:
    """Detections by what they really are; those that truth leaves unclear are left out."""

    normals: int
    normals_called: int
    anomalies: int
    anomalies_called: int

    def told(self, policy: str, stated: float) -> str:
        """The rates in a sentence."""
        share = 100 * self.normals_called / max(self.normals, 1)
        return (
            f"{policy} policy, stated rate {100 * stated:g} %: {self.normals_called} of "
            f"{self.normals} normals were candidates ({share:.1f} %), as were "
            f"{self.anomalies_called} of {self.anomalies} injected anomalies"
        )


def evaluate_rates(cycle: Cycle) -> None:
    """Write an event with the realised rate where this cycle judged frames of a simulated night.

    Over all frames of the night (64 at most) that the plan's model and policy have judged. The
    detection's own verdict counts, so that artefacts and disagreements are part of it.
    """
    if not cycle.source.name.startswith("sim:"):
        return
    choice = cycle.plan.anomaly
    keys = [cycle.source.name, choice.card.digest, choice.policy.digest]
    rows = cycle.store.rows(
        """
        SELECT o.object_id, any_value(f.height) AS size, bool_or(r.cycle_id = ?) AS is_new,
               list((d.x, d.y, d.size_px, d.p_value, d.verdict = 'candidate')
                    ORDER BY d.detection_id) AS judged
        FROM runs r JOIN detections d USING (run_id)
        JOIN frames f ON f.frame_digest = r.frame_digest
        JOIN current_observations o ON o.frame_digest = r.frame_digest
        WHERE r.pipeline = 'anomaly' AND o.source = ? AND r.model_digest = ?
          AND r.policy_digest = ? AND d.p_value IS NOT NULL
        GROUP BY o.object_id ORDER BY o.object_id LIMIT ?
        """,
        [cycle.cycle_id, *keys, MOST_FRAMES],
    )
    if not any(row["is_new"] for row in rows):
        return
    frames = [
        (row["object_id"], row["size"], [tuple(each.values()) for each in row["judged"]])
        for row in rows
    ]
    found = cycle.workers.run(count_by_truth, frames)
    rate = choice.policy.false_positive_rate
    message = f"{cycle.source.name}: {found.told(cycle.policy, rate)}"
    add_event(cycle.store, cycle.cycle_id, KIND, message, cycle.clock())


def count_by_truth(frames: Sequence[tuple[str, int, Sequence[Any]]]) -> Realised:
    """In a worker: make each frame's truth again, and match its detections with it."""
    from engine.anomalies.cutouts import Cutout
    from engine.anomalies.simulated import ANOMALY, NORMAL, match_truth
    from engine.sky import simulated_again

    called = {NORMAL: [0, 0], ANOMALY: [0, 0]}
    for object_id, size, judged in frames:
        truth = simulated_again(object_id, size=size).truth
        for x, y, size_px, _, is_candidate in judged:
            place = cast(Cutout, SimpleNamespace(x=x, y=y, size_px=size_px))
            status = match_truth(place, truth).status
            if status in called:
                called[status][0] += 1
                called[status][1] += bool(is_candidate)
    return Realised(*called[NORMAL], *called[ANOMALY])
