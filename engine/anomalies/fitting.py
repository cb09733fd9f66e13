"""Fit a reference: split by source image, fit on one part, calibrate on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.calibration import (
    MIN_CALIBRATION,
    Calibration,
    Combination,
    CombinationRule,
)
from engine.anomalies.classes import FOLDS, fit_probe
from engine.anomalies.confounders import ConditionalCalibration
from engine.anomalies.embedders.morphology import RADIAL_BINS, MorphologyEmbedder
from engine.anomalies.preprocessing import SIDE
from engine.anomalies.projection import Projection
from engine.anomalies.reference import Method, Reference, half_of
from engine.anomalies.scores.base import MIN_FIT, Features, FittedScorer, Scores
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.entropy import ClassEntropy
from engine.anomalies.scores.isolation_forest import IsolationForest
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.anomalies.scores.relative_mahalanobis import RelativeMahalanobis
from engine.anomalies.scores.vim import VirtualLogit
from engine.anomalies.scores.vote import Vote
from engine.errors import CalibrationError, ModelError
from engine.split import Split, split_of

DEEP, SHAPE = "deep", "morphology"
Distance = PcaReconstruction | Mahalanobis | NearestNeighbours | IsolationForest
ALL_DISTANCES: tuple[type[Distance], ...] = (
    PcaReconstruction,
    Mahalanobis,
    NearestNeighbours,
    IsolationForest,
)
SHAPE_DISTANCES: tuple[type[Distance], ...] = (NearestNeighbours, PcaReconstruction, Mahalanobis)
Recipe = tuple[tuple[str, ...], CombinationRule]
# The first of each by the mean ROC-AUC on sources kept for choosing (docs/results/anomaly.json),
# the others where an embedder has not the parts for it.
OBJECT_RECIPES: tuple[Recipe, ...] = (
    (
        (
            "mahalanobis_fitted",
            "pca_reconstruction_fitted_morphology",
            "mahalanobis_fitted_morphology",
        ),
        "mean_rank",
    ),
    (("mahalanobis", "knn_morphology"), "fisher"),
    (("mahalanobis", "knn"), "fisher"),
)
SCENE_RECIPES: tuple[Recipe, ...] = (
    (("pca_reconstruction", "knn", "mahalanobis_fitted"), "mean_rank"),
    *OBJECT_RECIPES[1:],
)
CENTRED_SHARE = 0.9
RADIAL_PROFILE = slice(11, 11 + RADIAL_BINS)  # of morphology, centre first
CALIBRATE_SHARE = 0.3
TEST_SHARE = 0.0


@dataclass(frozen=True)
class Normals:
    """Embeddings to fit on.

    `features` float32 (N, D), one source-image key and (where known) one class name per row;
    `parts` as in `Embedder`; `domain` the sources or source families and `kinds` the kinds of
    cutout ("source", "image") that they stand for; `input_side` as in `Embedder`; `areas` float64
    (N,) the sources' areas in px, NaN where unknown.
    """

    features: Features
    keys: Sequence[str]
    parts: dict[str, slice]
    embedder: str
    domain: tuple[str, ...]
    kinds: tuple[str, ...] = ("source",)
    labels: Sequence[str] | None = None
    input_side: int = SIDE
    areas: NDArray[np.float64] | None = None

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
    The combination follows the first recipe that the parts allow (`recipe_among`). Class-head
    scores are reported but do not vote: a confident class says nothing about oddity. Raises
    CalibrationError when either split is too small.
    """
    fit = normals.rows("fit", calibrate=calibrate, test=test)
    held_out = normals.rows("calibrate", calibrate=calibrate, test=test)
    return fit_on_rows(name, normals, fit, held_out)


def fit_both_halves(name: str, normals: Normals) -> Reference:
    """Fit on one half of the source images and calibrate on the other, and again the other way.

    The second is the first one's `partner`: an image that the reference is made of is judged by
    the one of the two that was not fitted on it. Raises CalibrationError when a half is too small.
    """
    halves = np.array([half_of(key) for key in normals.keys])
    one, other = np.flatnonzero(halves == "fit"), np.flatnonzero(halves == "calibrate")
    partner = fit_on_rows(name, normals, other, one)
    return replace(fit_on_rows(name, normals, one, other), partner=partner)


def fit_on_rows(name: str, normals: Normals, fit: np.ndarray, held_out: np.ndarray) -> Reference:
    """Fit on the rows `fit` and calibrate on the rows `held_out`, int64 row numbers."""
    if len(normals.features) != len(normals.keys):
        raise CalibrationError(f"{len(normals.keys)} keys for {len(normals.features)} embeddings")
    head, class_names, head_part = _class_head(normals, fit)
    methods = _fit_methods(normals, fit, head, head_part)
    rows = normals.features[held_out]
    raw = {method.name: method.score(rows) for method in methods}
    calibrations = {method: Calibration.of(scores) for method, scores in raw.items()}
    voters, rule = recipe_among(tuple(raw), scenes=are_scenes(normals, fit))
    votes = np.stack([raw[voter] for voter in voters], axis=1)
    combination = Combination.fit(voters, calibrations, votes, rule)
    statistic = combination.statistic(calibrations, votes)
    return Reference(
        name=name,
        embedder=normals.embedder,
        domain=normals.domain,
        kinds=normals.kinds,
        methods=methods,
        calibrations=calibrations,
        combination=combination,
        projection=Projection.fit(normals.features[fit]),
        head=head,
        class_names=class_names,
        head_part=(head_part.start, head_part.stop),
        fitted_on=len(fit),
        input_side=normals.input_side,
        calibration_keys=frozenset(normals.keys[row] for row in held_out),
        by_area=_by_area(normals, held_out, statistic),
    )


def _by_area(
    normals: Normals, held_out: np.ndarray, statistic: NDArray[np.float64]
) -> ConditionalCalibration | None:
    """The combination calibrated among held-out rows of like area, where areas are known."""
    if normals.areas is None:
        return None
    known = np.isfinite(normals.areas[held_out])
    if known.sum() < MIN_CALIBRATION:
        return None
    return ConditionalCalibration.fit(statistic[known], normals.areas[held_out][known])


def _class_head(
    normals: Normals, fit: np.ndarray
) -> tuple[ClassHead | None, tuple[str, ...], slice]:
    """A probe with a calibrated temperature where there are images enough for its folds."""
    part = normals.parts.get(DEEP) or next(iter(normals.parts.values()))
    if normals.labels is None or len({normals.labels[row] for row in fit}) < 2:
        return None, (), part
    labels, keys = ([values[row] for row in fit] for values in (normals.labels, normals.keys))
    if len(set(keys)) < FOLDS:
        head, names = ClassHead.fit(normals.features[fit, part], labels)
        return head, names, part
    probe = fit_probe(normals.features[fit, part], labels, keys)
    return probe.head, probe.names, part


def cross_scores(normals: Normals, names: Sequence[str]) -> dict[str, Scores]:
    """Raw scores (N,) of every row by methods fitted on the half of the images it is not in.

    For ranking a pool by itself: nothing is calibrated, so there are no p-values. Raises ModelError
    where the embedder lacks a part that one of the methods reads.
    """
    fitted_half = np.array([half_of(key) == "fit" for key in normals.keys], dtype=np.bool_)
    scores = {name: np.zeros(len(normals.keys)) for name in names}
    for rows in (fitted_half, ~fitted_half):
        methods = _fit_methods(normals, np.flatnonzero(~rows), None, slice(0), names)
        if missing := set(names) - {method.name for method in methods}:
            raise ModelError(
                f"{normals.embedder} has no part for {', '.join(sorted(missing))}: "
                f"choose methods of {', '.join(normals.parts)}"
            )
        for method in methods:
            scores[method.name][rows] = method.score(normals.features[rows])
    return scores


def _fit_methods(
    normals: Normals,
    fit: np.ndarray,
    head: ClassHead | None,
    head_part: slice,
    names: Sequence[str] | None = None,
) -> tuple[Method, ...]:
    """Every method, or of the distances only those in `names`."""
    main = DEEP if DEEP in normals.parts else next(iter(normals.parts))
    methods: list[Method] = []
    for part, columns in normals.parts.items():
        rows = normals.features[fit, columns]
        kinds: tuple[type[Distance], ...] = ALL_DISTANCES
        if part != main:
            kinds = SHAPE_DISTANCES if part.endswith(SHAPE) else (Mahalanobis,)
        for kind in kinds:
            label = kind.method if part == main else f"{kind.method}_{_suffix(part)}"
            if names is not None and label not in names:
                continue
            fitted: FittedScorer = kind.fit(rows)
            methods.append(Method(label, columns.start, columns.stop, fitted))
    if head is not None:
        over_head = _head_scores(normals, fit, head, head_part, methods)
        methods += [Method(s.method, head_part.start, head_part.stop, s) for s in over_head]
    return tuple(methods)


def _head_scores(
    normals: Normals,
    fit: np.ndarray,
    head: ClassHead,
    head_part: slice,
    distances: list[Method],
) -> list[FittedScorer]:
    rows = normals.features[fit, head_part]
    labels = [(normals.labels or [])[row] for row in fit]
    msp, energy = MaximumSoftmax(head), Energy(head)
    scores: list[FittedScorer] = [
        RelativeMahalanobis.fit(rows, labels),
        VirtualLogit.fit(rows, head),
        msp,
        energy,
        ClassEntropy(head),
    ]
    distance = next(m.scorer for m in distances if isinstance(m.scorer, Mahalanobis))
    if isinstance(distance, Mahalanobis):
        scores.append(Vote(msp, energy, distance, _vote_thresholds(normals, fit, head_part)))
    return scores


def _vote_thresholds(normals: Normals, fit: np.ndarray, part: slice) -> NDArray[np.float32]:
    """Thresholds of the vote from a model of one half of the fit rows, taken on the other half.

    The calibration split itself stays untouched, so that the vote's own p-value is honest.
    """
    labels = [(normals.labels or [])[row] for row in fit]
    half = np.array([half_of(normals.keys[row]) == "fit" for row in fit], dtype=np.bool_)
    classes = {label for label, chosen in zip(labels, half, strict=True) if chosen}
    if len(classes) < 2 or half.sum() < MIN_FIT or (~half).sum() < MIN_FIT:
        half = np.ones(len(fit), dtype=np.bool_)
    rows = normals.features[fit, part]
    head, _ = ClassHead.fit(
        rows[half], [label for label, on in zip(labels, half, strict=True) if on]
    )
    members = (MaximumSoftmax(head), Energy(head), Mahalanobis.fit(rows[half]))
    return Vote.fit(*members, rows[~half] if not half.all() else rows).thresholds


def _suffix(part: str) -> str:
    """ "zoom" of part "zoom-deep", "zoom_morphology" of "zoom-morphology"."""
    return part.removesuffix(f"-{DEEP}").replace("-", "_")


def recipe_among(methods: Sequence[str], *, scenes: bool) -> Recipe:
    """The first recipe, for objects or for scenes, whose methods are all there."""
    recipes = SCENE_RECIPES if scenes else OBJECT_RECIPES
    return next(recipe for recipe in recipes if set(recipe[0]) <= set(methods))


def are_scenes(normals: Normals, rows: np.ndarray) -> bool:
    """Whether these rows show landscapes rather than an object in the middle of its surroundings.

    By the radial profile in the morphology part: of objects at least nine in ten are brighter in
    the inner quarter of the radius than in the outer. Without that part they count as objects.
    """
    columns = normals.parts.get(SHAPE, slice(0, 0))
    profile = normals.features[rows, columns][:, RADIAL_PROFILE]
    if columns.stop - columns.start != MorphologyEmbedder.dimension or not len(rows):
        return False
    quarter = profile.shape[1] // 4
    brighter = profile[:, :quarter].mean(axis=1) > profile[:, -quarter:].mean(axis=1)
    return bool(brighter.mean() < CENTRED_SHARE)
