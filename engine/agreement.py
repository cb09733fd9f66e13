"""How far labellers agree beyond chance: Cohen's kappa for two, Fleiss' for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError


@dataclass(frozen=True)
class Agreement:
    """`observed` and `expected` shares of agreement in [0, 1], `kappa` in [-1, 1], over `items`.

    `kappa` is None where chance alone would agree always: all said the same of everything.
    """

    items: int
    observed: float
    expected: float
    kappa: float | None


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Agreement of two labellers on the same items, each given one class by both.

    kappa = (p_o - p_e) / (1 - p_e), where p_o is the share of items on which they agree and
    p_e = sum over classes of the product of the shares in which each used the class (Cohen 1960,
    Educational and Psychological Measurement 20, 37). Raises EngineError on other lengths or none.
    """
    if len(first) != len(second) or not first:
        raise EngineError(
            f"two labellers must have judged the same items, at least one: got {len(first)} and "
            f"{len(second)}"
        )
    a, b = np.asarray(first), np.asarray(second)
    observed = float(np.mean(a == b))
    expected = float(sum(np.mean(a == name) * np.mean(b == name) for name in np.unique([a, b])))
    return _agreement(len(a), observed, expected)


def fleiss_kappa(counts: NDArray[np.integer]) -> Agreement:
    """Agreement of many labellers from int (items, classes): how many put the item into the class.

    Every item needs the same number n >= 2 of labels, not the same people. P_i = (sum_j n_ij^2 - n)
    / (n (n - 1)), p_o = mean P_i, p_e = sum_j p_j^2 with p_j the share of all labels in class j
    (Fleiss 1971, Psychological Bulletin 76, 378). Raises EngineError on other counts.
    """
    table = np.asarray(counts)
    if table.ndim != 2 or not table.size or (table < 0).any():
        raise EngineError(f"expected counts (items, classes) of at least 0, got {table.shape}")
    labels = table.sum(axis=1)
    n = int(labels[0])
    if n < 2 or (labels != n).any():
        raise EngineError(
            "Fleiss' kappa needs the same number of labels, at least 2, on every item: got "
            f"{int(labels.min())} to {int(labels.max())}"
        )
    observed = float(np.mean(((table.astype(np.float64) ** 2).sum(axis=1) - n) / (n * (n - 1))))
    expected = float(((table.sum(axis=0) / table.sum()) ** 2).sum())
    return _agreement(len(table), observed, expected)


def _agreement(items: int, observed: float, expected: float) -> Agreement:
    certain = expected >= 1 - 1e-12
    kappa = None if certain else (observed - expected) / (1 - expected)
    return Agreement(items, observed, expected, kappa)
