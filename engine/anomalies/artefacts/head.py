"""The artefact head: boosted trees over artefact features, kept as plain arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from engine.anomalies.artefacts.features import NAMES, Table
from engine.anomalies.reference import source_family
from engine.cards import WEIGHTS, read_card
from engine.errors import CalibrationError, ModelError
from engine.tensors import read_tensors

HEAD_NAME = "anomaly-artefacts"
FORMAT = "skysieve-artefact-head-2"
REAL = "real"
TREES, KIND_TREES, DEPTH, RATE, SUBSAMPLE, LEAST_LEAF = 300, 40, 4, 0.1, 0.6, 5
LEAF = -1


@dataclass(frozen=True)
class Forest:
    """Regression trees as arrays (trees, nodes): feature (-1: a leaf), threshold, children, value.

    `kind` (trees,) says which class's score a tree adds to.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: NDArray[np.float32]
    kind: NDArray[np.int16]

    def sums(self, table: Table, kinds: int) -> Table:
        """Sum of the trees' values float64 (N, kinds) for features (N, D)."""
        result = np.zeros((len(table), kinds))
        rows = np.arange(len(table))
        single = table.astype(np.float32)
        for tree in range(len(self.kind)):
            node = np.zeros(len(table), dtype=np.int64)
            while True:
                feature = self.feature[tree, node]
                if (feature == LEAF).all():
                    break
                below = single[rows, np.maximum(feature, 0)] <= self.threshold[tree, node]
                step = np.where(below, self.left[tree, node], self.right[tree, node])
                node = np.where(feature == LEAF, node, step)
            result[:, self.kind[tree]] += self.value[tree, node]
        return result


@dataclass(frozen=True)
class Boosted:
    """Gradient-boosted trees (Friedman 2001, Annals of Stat. 29) over K classes.

    P float64 (N, K) is the softmax of `prior` (K,) plus the sum of the trees.
    """

    prior: NDArray[np.float32]
    forest: Forest

    def probabilities(self, table: Table) -> Table:
        """P float64 (N, K) of features float64 (N, D)."""
        scores = self.prior + self.forest.sums(table, len(self.prior))
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class ArtefactHead:
    """Whether a detection is an artefact, and of which kind.

    `flawed` tells artefacts (class 1) from all else, `kind` one of `kinds` from another, given that
    it is an artefact. `threshold` is the probability of being one above which a detection is kept
    apart, chosen on training nights; `domain` holds the source families it was trained for:
    elsewhere the probability is told and decides nothing.
    """

    kinds: tuple[str, ...]
    flawed: Boosted
    kind: Boosted
    threshold: float
    domain: tuple[str, ...]
    digest: str = ""

    def judge(self, table: Table) -> tuple[Table, tuple[str, ...]]:
        """Probability of being an artefact (N,), and the likeliest kind, of features (N, 55)."""
        if table.ndim != 2 or table.shape[1] != len(NAMES):
            raise ModelError(f"artefact features must be (N, {len(NAMES)}), got {table.shape}")
        likeliest = self.kind.probabilities(table).argmax(axis=1)
        return self.flawed.probabilities(table)[:, 1], tuple(self.kinds[row] for row in likeliest)

    def decides(self, source: str) -> bool:
        """Whether the head may take a detection of this source out of the candidates."""
        return source in self.domain or source_family(source) in self.domain

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {f"flawed.{name}": part for name, part in _tensors(self.flawed).items()}
        tensors |= {f"kind.{name}": part for name, part in _tensors(self.kind).items()}
        facts = {
            "kinds": self.kinds,
            "threshold": self.threshold,
            "domain": self.domain,
            "features": NAMES,
        }
        save_file(tensors, path, metadata={"format": FORMAT, "facts": json.dumps(facts)})
        path.chmod(0o644)

    @classmethod
    def load(cls, folder: Path = WEIGHTS, name: str = HEAD_NAME) -> ArtefactHead:
        """Read the head and check it against its card. Raises ModelError when it does not fit."""
        card = read_card(name, folder)
        path = folder / f"{name}.safetensors"
        tensors, metadata = read_tensors(path)
        facts = json.loads(metadata.get("facts", "{}"))
        if metadata.get("format") != FORMAT or tuple(facts["features"]) != NAMES:
            raise ModelError(
                f"{path} was trained on other features: skysieve train anomaly --artefacts"
            )
        return cls(
            kinds=tuple(facts["kinds"]),
            flawed=_boosted(tensors, "flawed"),
            kind=_boosted(tensors, "kind"),
            threshold=float(facts["threshold"]),
            domain=tuple(facts["domain"]),
            digest=card.digest,
        )


FIELDS = ("feature", "threshold", "left", "right", "value", "kind")


def _tensors(boosted: Boosted) -> dict[str, NDArray[Any]]:
    trees = {name: np.ascontiguousarray(getattr(boosted.forest, name)) for name in FIELDS}
    return {**trees, "prior": np.ascontiguousarray(boosted.prior)}


def _boosted(tensors: dict[str, NDArray[Any]], name: str) -> Boosted:
    forest = Forest(**{field: tensors[f"{name}.{field}"] for field in FIELDS})
    return Boosted(tensors[f"{name}.prior"], forest)


def fit_head(
    table: Table,
    labels: Sequence[str],
    *,
    seed: int,
    domain: Sequence[str],
    threshold: float = 0.5,
) -> ArtefactHead:
    """Fit on features (N, 55) and one label a row, "real" or a kind of artefact.

    Raises CalibrationError without a real row or with less than two kinds of artefact.
    """
    flawed = np.array([label != REAL for label in labels], dtype=np.int64)
    kinds = tuple(sorted(set(labels) - {REAL}))
    if len(kinds) < 2 or flawed.all():
        raise CalibrationError(
            f"the artefact head needs real detections and two kinds of artefact, got {set(labels)}"
        )
    codes = np.array([kinds.index(label) for label in labels if label != REAL])
    return ArtefactHead(
        kinds,
        fit_boosted(table, flawed, seed=seed),
        fit_boosted(table[flawed == 1], codes, seed=seed, trees=KIND_TREES),
        threshold,
        tuple(domain),
    )


def fit_boosted(
    table: Table, codes: NDArray[np.int64], *, seed: int, trees: int = TREES
) -> Boosted:
    """Fit trees on features (N, D) and classes int64 (N,) from 0 on.

    Every class weighs by the square root of its rarity, so that rare ones count.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    counts = np.bincount(codes)
    weights = np.sqrt(len(codes) / (len(counts) * counts))[codes]
    model = GradientBoostingClassifier(
        n_estimators=trees,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=SUBSAMPLE,
        min_samples_leaf=LEAST_LEAF,
        max_features="sqrt",
        random_state=seed,
    ).fit(table.astype(np.float32), codes, sample_weight=weights)
    return exported(model, len(counts), table)


def exported(model: Any, kinds: int, table: Table) -> Boosted:
    """The trees as arrays; with two classes sklearn fits one tree a round, for the second."""
    grown = [
        (tree.tree_, column if kinds > 2 else 1)
        for row in model.estimators_
        for column, tree in enumerate(row)
    ]
    nodes = max(tree.node_count for tree, _ in grown)
    shape = (len(grown), nodes)
    forest = Forest(
        feature=np.full(shape, LEAF, np.int16),
        threshold=np.zeros(shape, np.float32),
        left=np.zeros(shape, np.int16),
        right=np.zeros(shape, np.int16),
        value=np.zeros(shape, np.float32),
        kind=np.array([kind for _, kind in grown], np.int16),
    )
    for index, (tree, _) in enumerate(grown):
        count = tree.node_count
        forest.feature[index, :count] = np.where(tree.feature < 0, LEAF, tree.feature)
        forest.threshold[index, :count] = tree.threshold
        forest.left[index, :count] = np.maximum(tree.children_left, 0)
        forest.right[index, :count] = np.maximum(tree.children_right, 0)
        forest.value[index, :count] = model.learning_rate * tree.value[:, 0, 0]
    first = table[:1].astype(np.float32)
    raw = np.atleast_2d(model.decision_function(first))
    whole = raw if kinds > 2 else np.column_stack([np.zeros(1), raw.ravel()])
    prior = whole[0] - forest.sums(first.astype(np.float64), kinds)[0]
    return Boosted(prior.astype(np.float32), forest)
