"""Ranking without labels over five folds by source, with a recipe chosen elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.calibration import Calibration, Combination, CombinationRule
from engine.anomalies.fitting import Normals, are_scenes, fit_on_rows, recipe_among
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.metrics.ranking import roc_auc
from engine.split import split_of
from jobs.bench.anomalies.pictures import CHOICE_PARTS, PARTS, Task, balanced_parts

CALIBRATE = 0.2
INNER_FOLDS = 4
RULES: tuple[CombinationRule, ...] = ("fisher", "mean_rank")
CANDIDATES = (
    "pca_reconstruction",
    "mahalanobis",
    "knn",
    "knn_morphology",
    "mahalanobis_fitted",
    "knn_fitted_morphology",
    "pca_reconstruction_fitted_morphology",
    "mahalanobis_fitted_morphology",
)
MOST_MEMBERS = 4
NOT_CHOSEN_BY = ("ztf_drb",)  # its labels are another classifier's
BASELINE = "pixel_pca_baseline"
AREA = "area_alone"


@dataclass(frozen=True)
class Recipe:
    """The methods that vote, and how they are combined."""

    members: tuple[str, ...]
    rule: CombinationRule

    @property
    def name(self) -> str:
        """For instance "fisher(mahalanobis, knn)"."""
        return f"{self.rule}({', '.join(self.members)})"


@dataclass(frozen=True)
class Material:
    """What a task's models see: embeddings, plain pixels with the bright area, class names."""

    features: NDArray[np.float32]
    plain: NDArray[np.float32]
    labels: tuple[str, ...]
    parts: Mapping[str, slice]
    embedder: str


@dataclass(frozen=True)
class Scored:
    """Raw scores of calibration and test rows by method; `odd` marks the anomalous test rows."""

    calibration: dict[str, NDArray[np.float64]]
    test: dict[str, NDArray[np.float64]]
    odd: NDArray[np.bool_]

    def auc(self, method: str) -> float:
        """ROC-AUC of one method."""
        scores = self.test[method]
        return roc_auc(scores[~self.odd], scores[self.odd])

    def combined_auc(self, recipe: Recipe) -> float:
        """ROC-AUC of a combination calibrated on the calibration rows."""
        single = {name: Calibration.of(self.calibration[name]) for name in recipe.members}
        held_out = np.stack([self.calibration[name] for name in recipe.members], axis=1)
        combination = Combination.fit(recipe.members, single, held_out, recipe.rule)
        raw = np.stack([self.test[name] for name in recipe.members], axis=1)
        statistic = combination.statistic(single, raw)
        return roc_auc(statistic[~self.odd], statistic[self.odd])


def ranking(tasks: Sequence[Task], material: Mapping[str, Material]) -> dict[str, Any]:
    """The table of every score by task, and the recipes that the choice parts preferred."""
    choice = {
        task.name: choice_scores(task, material[task.dataset])
        for task in tasks
        if task.name not in NOT_CHOSEN_BY
    }
    folds = {
        task.name: [
            s for fold in held_folds() for s in fold_scores(task, material[task.dataset], fold)
        ]
        for task in tasks
    }
    groups = {task.name: group_of(task, material[task.dataset]) for task in tasks}
    return figures_of(tasks, choice, folds, groups)


def group_of(task: Task, material: Material) -> str:
    """ "scenes" or "objects", by the normals of the choice parts, no label of an anomaly used."""
    rows = task.rows[np.isin(task.parts(), CHOICE_PARTS) & ~task.odd]
    keys = [""] * len(material.features)
    normals = Normals(material.features, keys, dict(material.parts), material.embedder, ("bench",))
    return "scenes" if are_scenes(normals, rows) else "objects"


def figures_of(
    tasks: Sequence[Task],
    choice: Mapping[str, Sequence[Scored]],
    folds: Mapping[str, Sequence[Scored]],
    groups: Mapping[str, str],
) -> dict[str, Any]:
    """One recipe for objects and one for scenes, and what each gives on the test folds."""
    recipes, best = {}, {}
    for group in sorted(set(groups.values())):
        own = {name: scored for name, scored in choice.items() if groups[name] == group}
        if any(own.values()):
            recipes[group], means = choose(own)
            best[group] = dict(sorted(means.items(), key=lambda item: -item[1])[:10])
    table: dict[str, Any] = {}
    for task in tasks:
        if not folds[task.name]:
            continue
        table[task.name] = {
            **_table(folds[task.name], recipes.get(groups[task.name]), groups[task.name]),
            "group": groups[task.name],
            "folds": len(folds[task.name]),
            "normals": int((~task.odd).sum()),
            "anomalies": int(task.odd.sum()),
            "sources": len(set(task.keys)),
            "fitted_on_the_pool_itself": task.is_pool,
        }
    return {
        "recipe": {group: recipe.name for group, recipe in recipes.items()},
        "choice_parts_mean_roc_auc": best,
        "tasks": table,
    }


def held_folds() -> tuple[int, ...]:
    """The parts that are tests, never looked at for the choice."""
    return tuple(part for part in range(PARTS) if part not in CHOICE_PARTS)


def fold_scores(task: Task, material: Material, fold: int) -> list[Scored]:
    """Scores of one test fold by models that saw normals of other parts only.

    For a pool the models are fitted on the rest of the pool, its anomalies among them unlabelled.
    """
    parts = task.parts()
    test = parts == fold
    if not (test & task.odd).any() or not (test & ~task.odd).any():
        return []
    known = ~test & (~task.odd | task.is_pool)
    return [_scores(task, material, known, test)]


def choice_scores(task: Task, material: Material) -> list[Scored]:
    """The same within the choice parts alone: four inner folds of normals, all their anomalies."""
    allowed = np.isin(task.parts(), CHOICE_PARTS)
    inner = balanced_parts(task.keys, task.odd & task.is_pool, INNER_FOLDS)
    scored = []
    for number in range(INNER_FOLDS):
        held = inner == number
        known = allowed & ~held & (~task.odd | task.is_pool)
        test = allowed & (held | (task.odd & (not task.is_pool)))
        if known.sum() >= 60 and (test & ~task.odd).any() and (test & task.odd).any():
            scored.append(_scores(task, material, known, test))
    return scored


def choose(choice: Mapping[str, Sequence[Scored]]) -> tuple[Recipe, dict[str, float]]:
    """The recipe with the best mean over data sets, of all of 2 to 4 candidates by either rule."""
    means: dict[str, float] = {}
    recipes: dict[str, Recipe] = {}
    for size in range(2, MOST_MEMBERS + 1):
        for members in combinations(CANDIDATES, size):
            for rule in RULES:
                recipe = Recipe(members, rule)
                by_task = [
                    np.mean([s.combined_auc(recipe) for s in scored])
                    for scored in choice.values()
                    if scored and all(name in scored[0].test for name in members)
                ]
                if by_task:
                    means[recipe.name], recipes[recipe.name] = float(np.mean(by_task)), recipe
    best = max(means, key=lambda name: means[name])
    return recipes[best], means


def _scores(
    task: Task, material: Material, known: NDArray[np.bool_], test: NDArray[np.bool_]
) -> Scored:
    rows, keys = task.rows, task.keys
    calibrates = np.array(
        [split_of(key, calibrate=CALIBRATE, test=0) == "calibrate" for key in keys]
    )
    if (known & calibrates).sum() < 19 or (known & ~calibrates).sum() < 19:
        calibrates = np.arange(len(keys)) % 3 == 0  # few sources: by row
    fit, held = np.flatnonzero(known & ~calibrates), np.flatnonzero(known & calibrates)
    classes = [material.labels[row] for row in rows]
    several = len({classes[row] for row in fit}) > 1 and not task.is_pool
    normals = Normals(
        material.features[rows],
        [str(key) for key in keys],
        dict(material.parts),
        material.embedder,
        ("bench",),
        ("image",),
        classes if several else None,
    )
    reference = fit_on_rows("bench", normals, fit, held)
    plain = material.plain[rows]
    pixels = PcaReconstruction.fit(plain[fit, :-1])
    scored: list[dict[str, NDArray[np.float64]]] = []
    for chosen in (held, np.flatnonzero(test)):
        raw = {m.name: m.score(normals.features[chosen]) for m in reference.methods}
        raw[BASELINE] = pixels.score(plain[chosen, :-1])
        raw[AREA] = plain[chosen, -1].astype(np.float64)
        scored.append(raw)
    return Scored(scored[0], scored[1], task.odd[test])


def _table(folds: Sequence[Scored], recipe: Recipe | None, group: str) -> dict[str, Any]:
    """Mean, spread and folds of every method; the area in the direction that serves it best."""
    table = {name: [scored.auc(name) for scored in folds] for name in folds[0].test}
    area = np.array(table[AREA])
    table[AREA] = list(area if area.mean() >= 0.5 else 1 - area)
    shipped = Recipe(*recipe_among(tuple(folds[0].test), scenes=group == "scenes"))
    for name, chosen in (("chosen_recipe", recipe), ("shipped_recipe", shipped)):
        if chosen is not None and all(member in folds[0].test for member in chosen.members):
            table[name] = [scored.combined_auc(chosen) for scored in folds]
    return {"roc_auc": {name: spread(values) for name, values in table.items()}}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation (n - 1)."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "standard_deviation": deviation}
