"""A linear probe as a model of its own: measured on held-out sources, saved, loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from engine.anomalies.classes import (
    confusion,
    expected_calibration_error,
    fit_probe,
    negative_log_likelihood,
)
from engine.anomalies.scores.base import Features
from engine.anomalies.scores.class_head import ClassHead
from engine.errors import CalibrationError, ModelError
from engine.split import split_of
from engine.tensors import read_tensors

TEST = 0.25


@dataclass(frozen=True)
class ProbeModel:
    """A class head and the names of its classes."""

    head: ClassHead
    names: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write it to one safetensors file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"names": json.dumps(self.names)}
        save_file(
            {k: np.ascontiguousarray(v) for k, v in self.head.tensors().items()}, path, metadata
        )
        path.chmod(0o644)

    @classmethod
    def load(cls, path: Path) -> ProbeModel:
        """Read what `save` wrote. Raises ModelError when it cannot be."""
        try:
            tensors, metadata = read_tensors(path)
            return cls(ClassHead.from_tensors(tensors), tuple(json.loads(metadata["names"])))
        except KeyError as error:
            raise ModelError(f"{path} is not a class head ({error}): train it again") from error


def measure_probe(
    features: Features | Sequence[Features], labels: Sequence[str], keys: Sequence[str]
) -> tuple[ProbeModel, dict[str, Any]]:
    """Fit on three quarters of the sources and measure on the rest, which it never sees.

    `features` float32 (N, D) (or blocks of it), one class name and source-image key a row. The gain
    is over guessing the commonest class. Raises CalibrationError when nothing is left to test on.
    """
    rows = features if isinstance(features, np.ndarray) else np.concatenate(list(features))
    test = np.array([split_of(key, calibrate=0, test=TEST) == "test" for key in keys])
    fit = [int(row) for row in np.flatnonzero(~test)]
    if not test.any() or len(set(labels)) != len({labels[row] for row in fit}):
        raise CalibrationError(
            f"{len(keys)} images leave a class without images to fit or to test on: add images"
        )
    probe = fit_probe(rows[fit], [labels[row] for row in fit], [keys[row] for row in fit])
    target = np.array([probe.names.index(label) for label in labels])[test]
    logits, raw = (head.logits(rows[test]) for head in (probe.head, probe.raw))
    accuracy = float(np.mean(logits.argmax(axis=1) == target))
    majority = float(np.bincount(target).max() / len(target))
    metrics = {
        "classes": list(probe.names),
        "images": {"fit": len(fit), "test": int(test.sum())},
        "accuracy": accuracy,
        "accuracy_gain": accuracy - majority,
        "majority_accuracy": majority,
        "nll": negative_log_likelihood(logits, target),
        "uncalibrated_nll": negative_log_likelihood(raw, target),
        "ece": expected_calibration_error(probe.head.probabilities(rows[test]), target),
        "temperature": probe.temperature,
        "C": probe.C,
        "confusion": confusion(probe.names, logits.argmax(axis=1), target),
    }
    return ProbeModel(probe.head, probe.names), metrics
