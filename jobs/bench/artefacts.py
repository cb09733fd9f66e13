"""What the artefact knowledge is worth on nights that no head was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from engine.anomalies.artefacts.head import HEAD_NAME, ArtefactHead
from engine.anomalies.artefacts.nights import (
    ARTEFACT,
    FlawLight,
    Named,
    artefact_night,
    name_detection,
)
from engine.anomalies.cutouts import cutouts_of
from engine.anomalies.evidence import why_artefact
from engine.anomalies.pipeline import COMBINED, AnomalyPipeline
from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.simulated import ANOMALY
from engine.cosmicrays.pipeline import CosmicRayPipeline
from engine.policy import generator_for
from engine.results import CosmicRayResult, Detection, Verdict
from engine.sky import ARTEFACT_KINDS, SimulatedFrame
from jobs.bench.result import write_result
from jobs.cli.output import progress

FRAMES = 130
SEED = 0
TOP = 100
CANDIDATE_RATE = 0.05
RANKINGS = ("without", "hits", "with")


@dataclass(frozen=True)
class Judgement:
    """One detection of a ranking: its place's keys, why it is kept apart, what it really is."""

    rank: float
    p_value: float
    apart: str | None
    named: Named


@dataclass(frozen=True)
class Night:
    """Judgements of some frames by ranking, and how many objects of either kind were put there."""

    frames: int
    rankings: dict[str, list[Judgement]]
    injected: dict[str, int]


def bench_artefacts(
    out: Path, *, seed: int, frames: int, now: datetime, workers: int | None = None
) -> dict[str, Any]:
    """Measure and write `out`."""
    figures = artefacts(frames=frames, seed=seed, say=progress, workers=workers)
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
    workers: int | None = None,
) -> dict[str, Any]:
    """Compare rankings with and without artefact knowledge on simulated nights.

    Lists are ordered as pages order them: by p-value, then by rank.

    "without" judges the raw frame and knows nothing of hits, lines or the head; "hits" judges the
    cleaned frame and knows hits and lines; "with" adds the head, whose nights have other seeds and
    whose threshold was chosen on them. Counted are artefacts among the 100 most anomalous
    detections, and true anomalies that are candidates (p at most 0.05) by score alone and are
    called artefacts. Deterministic under `seed`, whatever the number of worker processes.
    """
    if seed >= 1000:
        raise ValueError(f"seeds from 1000 on belong to training nights, got {seed}")
    count = min(workers or os.cpu_count() or 1, frames)
    if count == 1:
        nights = [judge_night(seed, frames)]
    else:
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            parts = [pool.submit(judge_night, seed, frames, part, count) for part in range(count)]
            nights = _gathered(parts, frames, say)
    return {"frames": frames, "seed": seed, "head": ArtefactHead.load().digest, **compared(nights)}


def judge_night(seed: int, frames: int, part: int = 0, parts: int = 1) -> Night:
    """Judge every `parts`-th frame of a night, from number `part` on."""
    import torch

    torch.set_num_threads(1)
    policy = AnomalyPolicy(false_positive_rate=CANDIDATE_RATE, near_miss_rate=0.1)
    head = ArtefactHead.load()
    blind = AnomalyPipeline(replace(policy, cosmic_ray_share=1.0, max_vanished=0))
    knowing = AnomalyPipeline(replace(policy, artefact_head=head.digest))
    blind.heat = knowing.heat = None
    cosmic_rays = CosmicRayPipeline()
    rankings: dict[str, list[Judgement]] = {name: [] for name in RANKINGS}
    injected = {ANOMALY: 0, ARTEFACT: 0}
    judged = 0
    for number, simulated in enumerate(artefact_night(frames, seed)):
        if number % parts != part:
            continue
        rng = generator_for(simulated.frame.digest, 0)
        cleaned = cosmic_rays.run(simulated.frame, rng)
        rankings["without"] += _judged(blind, simulated, None)["with"]
        for name, rows in _judged(knowing, simulated, cleaned).items():
            rankings[name] += rows
        for thing in simulated.truth.objects:
            injected[ARTEFACT] += thing.kind in ARTEFACT_KINDS
            injected[ANOMALY] += thing.is_anomaly
        judged += 1
    return Night(judged, rankings, injected)


def compared(nights: Sequence[Night]) -> dict[str, Any]:
    """The figures of the three rankings, and the two that are promised."""
    found = {name: [row for night in nights for row in night.rankings[name]] for name in RANKINGS}
    kinds = (ANOMALY, ARTEFACT)
    figures: dict[str, Any] = {
        "injected": {kind: sum(night.injected[kind] for night in nights) for kind in kinds},
        **{name: ranking(rows) for name, rows in found.items()},
    }
    before, after = (figures[name]["artefacts_in_top_100"] for name in ("without", "with"))
    hits = figures["hits"]["artefacts_in_top_100"]
    figures["fewer_artefacts_than_without"] = 1 - after / before if before else None
    figures["fewer_artefacts_than_with_hits_alone"] = 1 - after / hits if hits else None
    figures["anomalies_lost"] = lost_anomalies(found["with"])
    figures["anomalies_lost_with_hits_alone"] = lost_anomalies(found["hits"])
    return figures


def ranking(rows: Sequence[Judgement]) -> dict[str, Any]:
    """What the top 100 hold, artefacts that were recognised left out, and what was kept apart."""
    listed = [row for row in rows if row.apart is None]
    top = [row.named for row in sorted(listed, key=lambda row: (row.p_value, -row.rank))[:TOP]]
    flaws = [named.kind for named in top if named.status == ARTEFACT]
    statuses = [named.status for named in top]
    every = [row.named for row in rows]
    return {
        "detections": len(rows),
        "true_anomalies": sum(named.status == ANOMALY for named in every),
        "true_artefacts": sum(named.status == ARTEFACT for named in every),
        "artefacts_in_top_100": len(flaws),
        "anomalies_in_top_100": statuses.count(ANOMALY),
        "unclear_in_top_100": statuses.count("unclear"),
        "artefact_kinds_in_top_100": {kind: flaws.count(kind) for kind in sorted(set(flaws))},
        "kept_apart": {
            status: _share_apart([row for row in rows if row.named.status == status])
            for status in sorted({named.status for named in every})
        },
        "artefacts_kept_apart_by_kind": {
            kind: _share_apart([row for row in rows if row.named == Named(ARTEFACT, kind)])
            for kind in sorted({named.kind for named in every if named.status == ARTEFACT})
        },
    }


def lost_anomalies(rows: Sequence[Judgement]) -> dict[str, Any]:
    """True anomalies that score as candidates, and the share of them called artefacts."""
    candidates = [
        row for row in rows if row.named.status == ANOMALY and row.p_value <= CANDIDATE_RATE
    ]
    lost = [row.apart for row in candidates if row.apart is not None]
    share = len(lost) / len(candidates) if candidates else None
    return {"candidates": len(candidates), "lost": len(lost), "share": share, "reasons": lost[:20]}


def _share_apart(rows: Sequence[Judgement]) -> float:
    return sum(row.apart is not None for row in rows) / len(rows)


def _gathered(
    parts: Sequence[Future[Night]], frames: int, say: Callable[[str], None]
) -> list[Night]:
    done = 0
    for part in as_completed(parts):
        done += part.result().frames
        say(f"judged {done} of {frames} frames")
    return [part.result() for part in parts]


def _judged(
    pipeline: AnomalyPipeline, simulated: SimulatedFrame, cleaned: CosmicRayResult | None
) -> dict[str, list[Judgement]]:
    """The detections of one frame as the pipeline judges them, and without its artefact head."""
    frame, policy = simulated.frame, pipeline.policy
    result = pipeline.run(frame, generator_for(frame.digest, 0), cleaned)
    cutouts = cutouts_of(
        frame, limit=policy.max_detections, cosmic_rays=cleaned, vanished=policy.max_vanished
    )
    flaws = FlawLight.of(simulated.truth)
    rows: dict[str, list[Judgement]] = {"hits": [], "with": []}
    for detection, cutout in zip(result.detections, cutouts, strict=True):
        named = name_detection(cutout, flaws)
        # Without a cleaned frame nothing is known; a straight line is knowledge too.
        plain = None if cleaned is None else why_artefact(policy, cutout)
        full = None if cleaned is None else _kept_apart(detection)
        combined = next(score.raw for score in detection.scores if score.method == COMBINED)
        rows["hits"].append(_judgement(detection, combined, plain, named))
        rows["with"].append(_judgement(detection, detection.rank, full, named))
    return rows


def _kept_apart(detection: Detection) -> str | None:
    return detection.reason if detection.verdict is Verdict.ARTEFACT else None


def _judgement(
    detection: Detection, rank: float | None, apart: str | None, named: Named
) -> Judgement:
    p_value = 1.0 if detection.p_value is None else detection.p_value
    return Judgement(rank or 0.0, p_value, apart, named)
