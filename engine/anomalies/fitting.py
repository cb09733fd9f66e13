"""Fit a reference: split by source image, fit on one part, calibrate on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.anomalies.calibration import Calibration, Combination
from engine.anomalies.projection import Projection
from engine.anomalies.reference import Method, Reference
from engine.anomalies.scores.base import Features, FittedScorer
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.errors import CalibrationError
from engine.split import Split, split_of

DEEP, SHAPE = "deep", "morphology"
CALIBRATE_SHARE = 0.3
TEST_SHARE = 0.0


@dataclass(frozen=True)
class Normals:
    """Embeddings to fit on.

    `features` float32 (N, D), one source-image key and (where known) one class name per row;
    `parts` as in `Embedder`; `domain` the sources or source families and `kinds` the kinds of
    cutout ("source", "image") that they stand for.
    """

    features: Features
    keys: Sequence[str]
    parts: dict[str, slice]
    embedder: str
    domain: tuple[str, ...]
    kinds: tuple[str, ...] = ("source",)
    labels: Sequence[str] | None = None

    def rows(self, split: Split, *, calibrate: float, test: float) -> np.ndarray:
        """Row numbers whose source image falls into `split`, int64."""
        chosen = [split_of(key, calibrate=calibrate, test=test) == split for key in self.keys]
        return np.flatnonzero(chosen)


def fit_reference(
    name: str,
    normals: Normals,
    *,
    calibrate: float = CALIBRATE_SHARE,
    test: float = TEST_SHARE,
) -> Reference:
    """Fit every score on the "fit" rows and calibrate it on the "calibrate" rows.

    Rows of one source image (same key) always share a split; `test` is left alone for the caller.
    The combination reads the Mahalanobis score of the deep part and the nearest-neighbour score of
    the morphology part where there are both, else those two scores of the part there is; class-head
    scores are reported but do not vote, because a confident class says nothing about oddity.
    Raises CalibrationError when either split is too small.
    """
    fit = normals.rows("fit", calibrate=calibrate, test=test)
    held_out = normals.rows("calibrate", calibrate=calibrate, test=test)
    if len(normals.features) != len(normals.keys):
        raise CalibrationError(f"{len(normals.keys)} keys for {len(normals.features)} embeddings")
    head, class_names, head_part = _class_head(normals, fit)
    methods = _fit_methods(normals, fit, head, head_part)
    raw = {method.name: method.score(normals.features[held_out]) for method in methods}
    calibrations = {method: Calibration.of(scores) for method, scores in raw.items()}
    voters = _voters(normals.parts)
    votes = np.stack([raw[voter] for voter in voters], axis=1)
    return Reference(
        name=name,
        embedder=normals.embedder,
        domain=normals.domain,
        kinds=normals.kinds,
        methods=methods,
        calibrations=calibrations,
        combination=Combination.fit(voters, calibrations, votes),
        projection=Projection.fit(normals.features[fit]),
        head=head,
        class_names=class_names,
        head_part=(head_part.start, head_part.stop),
        fitted_on=len(fit),
    )


def _class_head(
    normals: Normals, fit: np.ndarray
) -> tuple[ClassHead | None, tuple[str, ...], slice]:
    part = normals.parts.get(DEEP) or next(iter(normals.parts.values()))
    if normals.labels is None or len({normals.labels[row] for row in fit}) < 2:
        return None, (), part
    labels = [normals.labels[row] for row in fit]
    head, names = ClassHead.fit(normals.features[fit, part], labels)
    return head, names, part


def _fit_methods(
    normals: Normals, fit: np.ndarray, head: ClassHead | None, head_part: slice
) -> tuple[Method, ...]:
    methods = []
    for part, columns in normals.parts.items():
        rows = normals.features[fit, columns]
        for scorer in (PcaReconstruction, Mahalanobis, NearestNeighbours):
            if part == SHAPE and scorer is not NearestNeighbours and DEEP in normals.parts:
                continue
            fitted: FittedScorer = scorer.fit(rows)
            label = f"{scorer.method}_{SHAPE}" if _second(part, normals.parts) else scorer.method
            methods.append(Method(label, columns.start, columns.stop, fitted))
    if head is not None:
        for over_head in (MaximumSoftmax(head), Energy(head)):
            method: FittedScorer = over_head
            methods.append(Method(method.method, head_part.start, head_part.stop, method))
    return tuple(methods)


def _second(part: str, parts: dict[str, slice]) -> bool:
    return part == SHAPE and DEEP in parts


def _voters(parts: dict[str, slice]) -> tuple[str, ...]:
    if DEEP in parts and SHAPE in parts:
        return (Mahalanobis.method, f"{NearestNeighbours.method}_{SHAPE}")
    return (Mahalanobis.method, NearestNeighbours.method)
