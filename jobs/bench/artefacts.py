"""What the artefact knowledge is worth on nights that no head was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.artefacts.head import HEAD_NAME, ArtefactHead
from engine.anomalies.artefacts.nights import (
    ARTEFACT,
    FlawLight,
    Named,
    artefact_night,
    name_detection,
)
from engine.anomalies.pipeline import AnomalyPipeline
from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.simulated import ANOMALY
from engine.cosmicrays.pipeline import CosmicRayPipeline
from engine.policy import generator_for
from engine.results import CosmicRayResult, Detection, Verdict
from engine.sky import SimulatedFrame
from jobs.bench.result import write_result
from jobs.cli.output import progress

FRAMES = 130
SEED = 0
TOP = 100
CANDIDATE_RATE = 0.05

Naming = Callable[[Detection], Named]


def bench_artefacts(out: Path, *, seed: int, frames: int, now: datetime) -> dict[str, Any]:
    """Measure and write `out`."""
    figures = artefacts(frames=frames, seed=seed, say=progress)
    write_result(
        out,
        bench="artefacts",
        command=f"skysieve bench artefacts --seed {seed} --frames {frames} --out {out}",
        seed=seed,
        now=now,
        digests={HEAD_NAME: figures["head"]},
        figures=figures,
        notes="simulated nights; the head's own have seeds from 1000 on",
    )
    return figures


def artefacts(
    *,
    frames: int = FRAMES,
    seed: int = SEED,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Compare rankings with and without artefact knowledge on simulated nights.

    "without" judges the raw frame and knows nothing of hits, lines or the head; "hits" judges the
    cleaned frame and knows hits and lines; "with" adds the head, whose nights have other seeds and
    whose threshold was chosen on them. Counted are artefacts among the 100 most anomalous
    detections, and true anomalies that are candidates (p at most 0.05) by score alone and are
    called artefacts. Deterministic under `seed`.
    """
    if seed >= 1000:
        raise ValueError(f"seeds from 1000 on belong to training nights, got {seed}")
    head = ArtefactHead.load()
    policy = AnomalyPolicy(false_positive_rate=CANDIDATE_RATE, near_miss_rate=0.1)
    pipelines = {
        "without": AnomalyPipeline(replace(policy, cosmic_ray_share=1.0, max_vanished=0)),
        "hits": AnomalyPipeline(policy),
        "with": AnomalyPipeline(replace(policy, artefact_head=head.digest)),
    }
    for pipeline in pipelines.values():
        pipeline.heat = None
    cosmic_rays = CosmicRayPipeline()
    found: dict[str, list[tuple[Detection, Named]]] = {name: [] for name in pipelines}
    injected = {ANOMALY: 0, ARTEFACT: 0}
    for number, simulated in enumerate(artefact_night(frames, seed)):
        rng = generator_for(simulated.frame.digest, 0)
        cleaned = cosmic_rays.run(simulated.frame, rng)
        _count(simulated, injected)
        for name, pipeline in pipelines.items():
            known = None if name == "without" else cleaned
            found[name] += _judged(pipeline, simulated, known)
        if number % 10 == 0:
            say(f"judged {number + 1} of {frames} frames")
    return {
        "frames": frames,
        "seed": seed,
        "head": head.digest,
        "injected": injected,
        **compared(found),
    }


def compared(found: dict[str, list[tuple[Detection, Named]]]) -> dict[str, Any]:
    """The figures of the three rankings, and the two that are promised."""
    figures: dict[str, Any] = {name: ranking(rows) for name, rows in found.items()}
    before, after = (figures[name]["artefacts_in_top_100"] for name in ("without", "with"))
    hits = figures["hits"]["artefacts_in_top_100"]
    figures["fewer_artefacts_than_without"] = 1 - after / before if before else None
    figures["fewer_artefacts_than_with_hits_alone"] = 1 - after / hits if hits else None
    figures["anomalies_lost"] = lost_anomalies(found["with"])
    figures["anomalies_lost_with_hits_alone"] = lost_anomalies(found["hits"])
    return figures


def ranking(rows: list[tuple[Detection, Named]]) -> dict[str, Any]:
    """What the top 100 hold, artefacts that were recognised behind everything else."""
    listed = [(d, n) for d, n in rows if d.verdict is not Verdict.ARTEFACT]
    top = sorted(listed, key=lambda row: -_statistic(row[0]))[:TOP]
    kinds = [named.kind for _, named in top if named.status == ARTEFACT]
    statuses = [named.status for _, named in top]
    every = [named for _, named in rows]
    return {
        "detections": len(rows),
        "true_anomalies": sum(named.status == ANOMALY for named in every),
        "true_artefacts": sum(named.status == ARTEFACT for named in every),
        "artefacts_in_top_100": len(kinds),
        "anomalies_in_top_100": statuses.count(ANOMALY),
        "unclear_in_top_100": statuses.count("unclear"),
        "artefact_kinds_in_top_100": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def lost_anomalies(rows: list[tuple[Detection, Named]]) -> dict[str, Any]:
    """True anomalies that score as candidates, and the share of them called artefacts."""
    candidates = [
        (detection, named)
        for detection, named in rows
        if named.status == ANOMALY
        and detection.p_value is not None
        and detection.p_value <= CANDIDATE_RATE
    ]
    lost = [d.reason for d, _ in candidates if d.verdict is Verdict.ARTEFACT]
    share = len(lost) / len(candidates) if candidates else None
    return {"candidates": len(candidates), "lost": len(lost), "share": share, "reasons": lost[:20]}


def _statistic(detection: Detection) -> float:
    return next(score.raw for score in detection.scores if score.method == "combined")


def _judged(
    pipeline: AnomalyPipeline, simulated: SimulatedFrame, cleaned: CosmicRayResult | None
) -> list[tuple[Detection, Named]]:
    from engine.anomalies.cutouts import cutouts_of

    frame = simulated.frame
    result = pipeline.run(frame, generator_for(frame.digest, 0), cleaned)
    cutouts = cutouts_of(
        frame,
        limit=pipeline.policy.max_detections,
        cosmic_rays=cleaned,
        vanished=pipeline.policy.max_vanished,
    )
    flaws = FlawLight.of(simulated.truth)
    named = [name_detection(cutout, flaws) for cutout in cutouts]
    detections = result.detections
    if cleaned is None:  # a straight line is artefact knowledge too
        detections = tuple(_without_verdict(detection) for detection in detections)
    return list(zip(detections, named, strict=True))


def _without_verdict(detection: Detection) -> Detection:
    if detection.verdict is Verdict.ARTEFACT:
        return replace(detection, verdict=Verdict.NORMAL)
    return detection


def _count(simulated: SimulatedFrame, injected: dict[str, int]) -> None:
    from engine.sky import ARTEFACT_KINDS

    kinds: NDArray[np.bool_] = np.array(
        [thing.kind in ARTEFACT_KINDS for thing in simulated.truth.objects], dtype=np.bool_
    )
    injected[ARTEFACT] += int(kinds.sum())
    injected[ANOMALY] += sum(thing.is_anomaly for thing in simulated.truth.objects)
