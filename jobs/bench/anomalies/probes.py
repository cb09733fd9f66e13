"""Linear probes over the frozen embedding, by held-out folds: accuracy, likelihood, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from engine.anomalies.classes import (
    confusion,
    expected_calibration_error,
    fit_probe,
    negative_log_likelihood,
)
from jobs.bench.anomalies.pictures import Picture
from jobs.bench.anomalies.ranking import Material, spread

FOLDS = 5
SETS = {
    "first_4_classes": ("first", ("Compact", "FRI", "FRII", "Bent")),
    "gz2_spirals": ("gz2", ("spirals", "non_spirals")),
    "hirise_5_classes": ("hirise", ("other", "crater", "dark_dune", "bright_dune", "edge")),
}


def probes(
    sets: Mapping[str, Sequence[Picture]], material: Mapping[str, Material], seed: int
) -> dict[str, Any]:
    """Mean and spread over five folds by source for every labelled set."""
    figures: dict[str, Any] = {}
    for name, (dataset, classes) in SETS.items():
        if dataset not in sets:
            continue
        rows = [row for row, p in enumerate(sets[dataset]) if p.label in classes]
        features = material[dataset].features[rows]
        labels = [sets[dataset][row].label for row in rows]
        keys = [sets[dataset][row].key for row in rows]
        figures[name] = probe_figures(features, labels, keys, seed)
    return figures


def probe_figures(
    features: np.ndarray, labels: Sequence[str], keys: Sequence[str], seed: int
) -> dict[str, Any]:
    """Figures of `fit_probe` over five folds by source image, stratified by class."""
    names = sorted(set(labels))
    target = np.array([names.index(label) for label in labels])
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    measured: dict[str, list[float]] = {}
    guesses = np.zeros(len(target), dtype=np.int64)
    for train, test in folds.split(features, target, list(keys)):
        probe = fit_probe(features[train], [labels[i] for i in train], [keys[i] for i in train])
        order = [probe.names.index(name) for name in names]
        logits, raw = (h.logits(features[test])[:, order] for h in (probe.head, probe.raw))
        guesses[test] = logits.argmax(axis=1)
        values = {
            "accuracy": float(np.mean(guesses[test] == target[test])),
            "nll": negative_log_likelihood(logits, target[test]),
            "nll_uncalibrated": negative_log_likelihood(raw, target[test]),
            "ece": expected_calibration_error(_softmax(logits), target[test]),
            "ece_uncalibrated": expected_calibration_error(_softmax(raw), target[test]),
            "temperature": probe.temperature,
            "majority_accuracy": float(np.bincount(target[test]).max() / len(test)),
        }
        for key, value in values.items():
            measured.setdefault(key, []).append(value)
    return {
        **{key: spread(values) for key, values in measured.items()},
        "images": len(target),
        "confusion": confusion(names, guesses, target),
    }


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
