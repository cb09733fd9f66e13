"""How sure a figure is: resampling of 64 x 64 blocks, since neighbouring pixels err together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.metrics.calibration import LEAST_PROBABILITY, ece

BLOCK_PX = 64
REPLICATES = 200
LOWER, UPPER = 2.5, 97.5

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def block_numbers(shape: tuple[int, int], side: int = BLOCK_PX) -> NDArray[np.int32]:
    """The number of the block that each pixel lies in, row by row; int32 (H, W)."""
    rows, columns = (np.arange(length) // side for length in shape)
    numbers: NDArray[np.int32] = (rows[:, None] * (columns[-1] + 1) + columns).astype(np.int32)
    return numbers


@dataclass(frozen=True)
class Interval:
    """A figure over all blocks, and the range of 95 % of its resamplings."""

    value: float
    lower: float
    upper: float

    def as_dict(self) -> dict[str, float]:
        """The interval as plain values."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


def resamplings(blocks: int, seed: int, count: int = REPLICATES) -> Counts:
    """How often each block is drawn in each resampling with replacement, (count, blocks)."""
    rng = np.random.default_rng([seed, 64])
    drawn = rng.integers(blocks, size=(count, blocks))
    return np.stack([np.bincount(row, minlength=blocks) for row in drawn])


def interval(value: float, resampled: ArrayLike) -> Interval:
    """Percentile interval (Efron 1979) of the finite resampled values."""
    every = np.asarray(resampled, dtype=np.float64)
    finite = every[np.isfinite(every)]
    if not finite.size:
        return Interval(value, float("nan"), float("nan"))
    lower, upper = np.percentile(finite, [LOWER, UPPER])
    return Interval(value, float(lower), float(upper))


class RecallCurve:
    """True-positive rates of one frame at given false-positive rates, for any weights of blocks.

    `probability`, `truth` and `block` (N,) of the pixels that count; blocks without any do not
    count. Only the highest tenth of the negatives is kept, which holds every threshold of rates up
    to a few percent.
    """

    KEPT = 0.1

    def __init__(
        self,
        probability: NDArray[np.floating],
        truth: NDArray[np.bool_],
        block: NDArray[np.integer],
    ) -> None:
        block = np.unique(block, return_inverse=True)[1]
        self.blocks = int(block.max()) + 1
        negatives = probability[~truth]
        highest = np.argsort(negatives)[::-1][: int(self.KEPT * negatives.size) + 2]
        self._scores, self._score_blocks = negatives[highest], block[~truth][highest]
        self._negatives = np.bincount(block[~truth], minlength=self.blocks)
        self._positives, self._positive_blocks = probability[truth], block[truth]

    def rates(self, weights: Counts, at: Sequence[float]) -> Floats:
        """The true-positive rate at each false-positive rate, as `recall_at_fpr` defines it."""
        passed = np.cumsum(weights[self._score_blocks])
        allowed = np.floor(np.asarray(at) * float(weights @ self._negatives) + 1e-9)
        first_beyond = np.searchsorted(passed, allowed, side="right")
        limits = self._scores[np.minimum(first_beyond, self._scores.size - 1)]
        weight = weights[self._positive_blocks]
        found = [float(weight[self._positives > limit].sum()) for limit in limits]
        total = float(weight.sum())
        return np.asarray(found) / total if total else np.full(len(found), np.nan)


def recall_intervals(
    curves: Sequence[RecallCurve], at: Sequence[float], seed: int = 0
) -> list[Interval]:
    """Mean over frames of the true-positive rate at each rate, blocks resampled in every frame."""
    everything = [np.ones(curve.blocks, dtype=np.int64) for curve in curves]
    value = np.mean([c.rates(w, at) for c, w in zip(curves, everything, strict=True)], axis=0)
    draws = [resamplings(curve.blocks, seed + k) for k, curve in enumerate(curves)]
    resampled = np.array(
        [
            np.mean([c.rates(w[k], at) for c, w in zip(curves, draws, strict=True)], axis=0)
            for k in range(REPLICATES)
        ]
    )
    return [interval(float(v), resampled[:, k]) for k, v in enumerate(value)]


def recall_differences(
    first: Sequence[RecallCurve], second: Sequence[RecallCurve], at: Sequence[float], seed: int = 0
) -> list[Interval]:
    """First minus second, on the same resampled blocks."""
    draws = [resamplings(curve.blocks, seed + k) for k, curve in enumerate(first)]

    def gap(weights: Sequence[Counts]) -> Floats:
        pairs = zip(first, second, weights, strict=True)
        gaps: Floats = np.mean([a.rates(w, at) - b.rates(w, at) for a, b, w in pairs], axis=0)
        return gaps

    value = gap([np.ones(curve.blocks, dtype=np.int64) for curve in first])
    resampled = np.array([gap([draw[k] for draw in draws]) for k in range(REPLICATES)])
    return [interval(float(v), resampled[:, k]) for k, v in enumerate(value)]


Loss = Callable[[Floats, Floats], Floats]


def log_loss(p: Floats, y: Floats) -> Floats:
    """Negative log-likelihood of each pixel in nats."""
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def square_loss(p: Floats, y: Floats) -> Floats:
    """Squared error of each pixel."""
    squared: Floats = (p - y) ** 2
    return squared


def mean_differences(
    losses: Sequence[tuple[Floats, Floats]], block: NDArray[np.int32], seed: int = 0
) -> Interval:
    """Mean over pixels and pairs of nets of (first loss - second loss), blocks resampled.

    `losses` holds a pair a training seed, each (N,), over the same pixels of blocks `block` (N,).
    """
    blocks = int(block.max()) + 1
    difference = np.mean([first - second for first, second in losses], axis=0)
    sums = np.bincount(block, difference, minlength=blocks)
    counts = np.bincount(block, minlength=blocks)
    weights = resamplings(blocks, seed)
    return interval(float(difference.mean()), (weights @ sums) / (weights @ counts))


def open_ece(p: Floats, y: Floats, is_open: NDArray[np.bool_]) -> float:
    """Equal-mass ECE over the pixels where the question is open, 15 bins, L1."""
    return ece(p[is_open], y[is_open], scheme="equal_mass")
