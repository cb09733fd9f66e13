"""Active learning: anomalies found within 100 labels, beside the unsupervised list."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.anomalies.fitting import (
    OBJECT_RECIPES,
    SCENE_RECIPES,
    Normals,
    are_scenes,
    cross_scores,
)
from engine.anomalies.interest import InterestSpace, next_batch, rank_by_interest
from jobs.bench.anomalies.pictures import Task
from jobs.bench.anomalies.ranking import Material, spread

STARTS, ROUNDS, BATCH = 8, 5, 20
CANDIDATES = 10_000


@dataclass(frozen=True)
class Pool:
    """How many normals and anomalies of a task make a pool, and what the study found in its own."""

    task: tuple[str, ...]
    normals: int
    anomalies: int
    study: float | None = None


POOLS = {
    "first_bent": Pool(("first_bent",), 1810, 90, 22.1),
    "gz2_spirals_5_percent": Pool(("gz2_spirals",), 665, 35),
    "gz2_spirals_study": Pool(("gz2_spirals",), 1000, 50, 15.9),
    "odd_10_percent": Pool(("odd_gama", "odd_sloan"), 158, 18),
    "odd_all": Pool(("odd_gama", "odd_sloan"), 250, 90, 56.4),
    "hirise_craters": Pool(("hirise_craters",), 2018, 100, 57.6),
}


def learning(tasks: dict[str, Task], material: dict[str, Material], seed: int) -> dict[str, Any]:
    """Found within 100 labels, mean and spread of 8 pools, for every pool that the data allow."""
    figures: dict[str, Any] = {}
    for number, (name, pool) in enumerate(POOLS.items()):
        if not all(task in tasks for task in pool.task):
            continue
        rng = np.random.default_rng([seed, number])
        chosen = [tasks[task] for task in pool.task]
        source = material[chosen[0].dataset]
        rows = np.concatenate([task.rows for task in chosen])
        odd = np.concatenate([task.odd for task in chosen])
        counts = (min(pool.normals, int((~odd).sum())), min(pool.anomalies, int(odd.sum())))
        runs = []
        for _ in range(STARTS):
            drawn = np.concatenate(
                [
                    rng.permutation(rows[~odd])[: counts[0]],
                    rng.permutation(rows[odd])[: counts[1]],
                ]
            )
            truth = np.arange(len(drawn)) >= counts[0]
            runs.append(found_in(source, drawn, truth))
        with_labels, without = (np.array([run[i] for run in runs], float) for i in (0, 1))
        figures[name] = {
            "normals": counts[0],
            "anomalies": counts[1],
            "labels": ROUNDS * BATCH,
            "found": spread(list(with_labels)),
            "found_by_the_unsupervised_list": spread(list(without)),
            "gain": float(with_labels.mean() / max(without.mean(), 1e-9)),
            "found_at_random": 100 * counts[1] / sum(counts),
            "study_found_in_its_pool": pool.study,
            "study_pool_normals_and_anomalies": [pool.normals, pool.anomalies],
        }
    figures["refit"] = refit_time(np.random.default_rng(seed))
    return figures


def found_in(
    material: Material, rows: NDArray[np.int64], truth: NDArray[np.bool_]
) -> tuple[int, int]:
    """Anomalies among 100 labels in batches of 20, and among the prior's first 100."""
    prior = pool_prior(material, rows)
    labelled = labelled_order(material, rows, prior, truth, ROUNDS)
    first = next_batch(prior, [], ROUNDS * BATCH)
    return int(truth[labelled].sum()), int(truth[first].sum())


def labelled_order(
    material: Material,
    rows: NDArray[np.int64],
    prior: NDArray[np.float64],
    truth: NDArray[np.bool_],
    rounds: int,
) -> list[int]:
    """Places in `rows` in the order in which they are labelled, in batches of 20 by their truth."""
    space = InterestSpace.of(material.features[rows], material.parts)
    labels: dict[int, bool] = {}
    for _ in range(rounds):
        interest = rank_by_interest(space, prior, labels)
        for row in next_batch(interest, list(labels), BATCH):
            labels[int(row)] = bool(truth[row])
    return list(labels)


def pool_prior(material: Material, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean rank of the voting scores of a pool, each row by a model of the half it is not in."""
    features = material.features[rows]
    keys = [f"row-{row}" for row in rows]
    normals = Normals(features, keys, dict(material.parts), material.embedder, ("bench",))
    scenes = are_scenes(normals, np.arange(len(features)))
    voters, _ = (SCENE_RECIPES if scenes else OBJECT_RECIPES)[0]
    raw = cross_scores(normals, voters)
    ranks = [rankdata(scores) / len(scores) for scores in raw.values()]
    return np.asarray(np.mean(ranks, axis=0), dtype=np.float64)


def refit_time(rng: np.random.Generator) -> dict[str, float]:
    """Seconds to refit and rank 10,000 candidates with 100 labels (the slowest of 5)."""
    space = InterestSpace(rng.normal(size=(CANDIDATES, 72)))
    prior = rng.normal(size=CANDIDATES)
    labels = {int(row): bool(row % 3 == 0) for row in rng.permutation(CANDIDATES)[:100]}
    times = []
    for _ in range(5):
        start = perf_counter()
        rank_by_interest(space, prior, labels)
        times.append(perf_counter() - start)
    return {"candidates": CANDIDATES, "labels": 100, "slowest_s": max(times)}
