"""Training the artefact head: nights by seed, thresholds from their own out-of-fold answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.artefacts.features import Table
from engine.anomalies.artefacts.head import REAL, TREES, ArtefactHead, fit_boosted, fit_head
from engine.anomalies.artefacts.nights import ARTEFACT, NightTable
from engine.anomalies.simulated import ANOMALY, NORMAL
from engine.metrics.ranking import roc_auc

FOLDS = 3
LOST_ANOMALIES, LOST_NORMALS = 0.009, 0.01
LEAST_THRESHOLD = 0.5


@dataclass(frozen=True)
class Trained:
    """A fitted head and what its out-of-fold answers on the training nights say of it."""

    head: ArtefactHead
    metrics: dict[str, Any]


def train_head(
    night: NightTable,
    *,
    seed: int,
    domain: Sequence[str],
    say: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit the head on one set of nights and choose its threshold there.

    Detections that are unclear take no part. The threshold is the lowest (at least 0.5) at which
    out-of-fold, by frame, at most 0.9 % of true anomalies and 1 % of normals count as artefacts.
    The metrics tell that, and what becomes of each kind of anomaly that a head was never shown.
    """
    rows = night.rows(NORMAL, ANOMALY, ARTEFACT)
    table = night.table[rows]
    named = [night.named[row] for row in rows]
    labels = [name.kind if name.status == ARTEFACT else REAL for name in named]
    frames = np.array([night.frames[row] for row in rows])
    status = np.array([name.status for name in named])
    kinds = np.array([name.kind for name in named])
    flawed = (status == ARTEFACT).astype(np.int64)
    held_out = np.zeros(len(rows))
    for fold in range(FOLDS):
        say(f"fitting fold {fold + 1} of {FOLDS} on {len(rows)} detections")
        test = frames % FOLDS == fold
        held_out[test] = _probability(table, flawed, ~test, seed=seed)[test]
    threshold = choose_threshold(held_out, status)
    metrics = fold_metrics(held_out, status, kinds, threshold)
    metrics["never_shown"] = {}
    for kind in sorted(set(kinds[status == ANOMALY])):
        say(f"fitting without {kind}")
        hidden = kinds == kind
        probability = _probability(table, flawed, ~hidden, seed=seed, trees=TREES // 2)
        lost = probability[hidden] > threshold
        metrics["never_shown"][str(kind)] = {"n": int(hidden.sum()), "lost": float(lost.mean())}
    say("fitting on all")
    head = fit_head(table, labels, seed=seed, domain=domain)
    return Trained(replace(head, threshold=threshold), metrics)


def choose_threshold(probability: NDArray[np.float64], status: NDArray[np.str_]) -> float:
    """The lowest threshold from 0.5 on that loses at most 0.9 % of anomalies, 1 % of normals."""
    bars = [LEAST_THRESHOLD]
    for name, share in ((ANOMALY, LOST_ANOMALIES), (NORMAL, LOST_NORMALS)):
        values = np.sort(probability[status == name])
        if values.size:
            most = int(share * values.size)
            bars.append(float(values[values.size - 1 - most]))
    return min(max(bars), 1.0)


def fold_metrics(
    probability: NDArray[np.float64],
    status: NDArray[np.str_],
    kinds: NDArray[np.str_],
    threshold: float,
) -> dict[str, Any]:
    """Out-of-fold figures: ROC-AUC, what is kept apart at the threshold by status and kind."""
    real = status != ARTEFACT
    apart = probability > threshold
    return {
        "detections": {name: int((status == name).sum()) for name in sorted(set(status))},
        "roc_auc": roc_auc(probability[real], probability[~real]),
        "threshold": threshold,
        "kept_apart": {name: float(apart[status == name].mean()) for name in sorted(set(status))},
        "artefacts_kept_apart_by_kind": {
            str(kind): float(apart[~real & (kinds == kind)].mean())
            for kind in sorted(set(kinds[~real]))
        },
    }


def _probability(
    table: Table,
    flawed: NDArray[np.int64],
    rows: NDArray[np.bool_],
    *,
    seed: int,
    trees: int = TREES,
) -> NDArray[np.float64]:
    """Every row's probability of being an artefact by a model fitted on `rows` alone."""
    fitted = fit_boosted(table[rows], flawed[rows], seed=seed, trees=trees)
    return fitted.probabilities(table)[:, 1]
