"""Isolation forest: how few random cuts set an embedding apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as Forest

from engine.anomalies.scores.base import (
    Features,
    Scores,
    Standardiser,
    Tensors,
    principal_directions,
)

TREES = 100
COMPONENTS = 32
SUBSAMPLE = 256
SEED = 0


@dataclass(frozen=True)
class IsolationForest:
    """2^(-E[h(x)] / c(n)) over 100 random trees on the 32 leading principal components.

    h is the depth at which x ends plus c(size of its leaf), c(n) = 2 H(n - 1) - 2 (n - 1) / n the
    mean depth of an unsuccessful search in a tree of n rows, H the harmonic number (as
    log + Euler's constant). Liu, Ting & Zhou (2008), ICDM; the trees are scikit-learn's, stored as
    arrays (trees, nodes): `feature` is -1 at a leaf, `depth` its h. Higher is more anomalous.
    """

    standardiser: Standardiser
    directions: NDArray[np.float32]
    feature: NDArray[np.float32]
    threshold: NDArray[np.float32]
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    depth: NDArray[np.float32]
    rows: NDArray[np.float32]
    method: ClassVar[str] = "isolation_forest"

    @classmethod
    def fit(cls, features: Features) -> IsolationForest:
        """Fit on normals, float32 (N, D). Raises CalibrationError with fewer than 8 rows."""
        standardiser = Standardiser.fit(features)
        z = standardiser.apply(features)
        kept = principal_directions(z - z.mean(axis=0), COMPONENTS)[1].astype(np.float32)
        short = (z @ kept.T.astype(np.float64)).astype(np.float32)
        rows = min(SUBSAMPLE, len(short))
        forest = Forest(n_estimators=TREES, max_samples=rows, random_state=SEED).fit(short)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        nodes = max(tree.node_count for tree in trees)
        arrays = np.zeros((5, len(trees), nodes), dtype=np.float32)
        for number, tree in enumerate(trees):
            columns = (
                np.where(tree.children_left < 0, -1, tree.feature),
                tree.threshold,
                tree.children_left,
                tree.children_right,
                _depths(tree) + mean_depth(tree.n_node_samples),
            )
            arrays[:, number, : tree.node_count] = np.stack(columns)
        feature, threshold, left, right, depth = arrays
        count = np.array([rows], dtype=np.float32)
        return cls(standardiser, kept, feature, threshold, left, right, depth, count)

    def score(self, features: Features) -> Scores:
        """Anomaly scores, float64 (N,), in (0, 1]."""
        z = self.standardiser.apply(features)
        short = (z @ self.directions.T.astype(np.float64)).astype(np.float32)
        trees = np.arange(len(self.feature))[None]
        node = np.zeros((len(short), len(self.feature)), dtype=np.int64)
        while True:
            feature = self.feature[trees, node].astype(np.int64)
            if (feature < 0).all():
                break
            value = np.take_along_axis(short, np.maximum(feature, 0), axis=1)
            goes_left = value <= self.threshold[trees, node]
            after = np.where(goes_left, self.left[trees, node], self.right[trees, node])
            node = np.where(feature < 0, node, after.astype(np.int64))
        mean = self.depth[trees, node].astype(np.float64).mean(axis=1)
        return np.asarray(2.0 ** (-mean / float(mean_depth(self.rows)[0])), dtype=np.float64)

    def tensors(self) -> Tensors:
        """Everything fitted, by name."""
        return {
            "mean": self.standardiser.mean,
            "scale": self.standardiser.scale,
            "directions": self.directions,
            "feature": self.feature,
            "threshold": self.threshold,
            "left": self.left,
            "right": self.right,
            "depth": self.depth,
            "rows": self.rows,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> IsolationForest:
        """The scorer that `tensors` were taken from."""
        names = ("directions", "feature", "threshold", "left", "right", "depth", "rows")
        return cls(
            Standardiser(tensors["mean"], tensors["scale"]), *(tensors[name] for name in names)
        )


def mean_depth(rows: NDArray[np.generic]) -> Scores:
    """c(n): 0 for one row, 1 for two, 2 (log(n - 1) + gamma) - 2 (n - 1) / n for more."""
    count = np.asarray(rows, dtype=np.float64)
    larger = np.maximum(count, 3)
    general = 2 * (np.log(larger - 1) + np.euler_gamma) - 2 * (larger - 1) / larger
    return np.where(count > 2, general, np.where(count == 2, 1.0, 0.0))


def _depths(tree: object) -> Scores:
    """Depth of every node of a scikit-learn tree, 0 at the root."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    depths = np.zeros(len(left))
    for node in range(len(left)):  # parents come before their children
        if left[node] >= 0:
            depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths
