"""SymbolTables: the integer probabilities that the entropy coder shares with its decoder.

One table for each of 64 scales, spaced by 1/8 in ln(scale / q) from 0.08. A table covers the
symbols -L..L and an escape; its counts sum to 2^24. The counts are made once, when weights are
stored, and read as integers ever after: no transcendental function decides a symbol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

LEVELS = 64
LEVELS_PER_UNIT = 8
FIRST_LOG_SCALE = -2586 / 1024
TOTAL = 1 << 24
WIDEST = 1200
ESCAPE_RANGE = 1 << 20
ESCAPE_BITS = 21.0
QUADRATURE = 4001
MOVE_COST = 14.0
"""Bits that one squared step of error is worth; chosen on training images, at 0.25 to 1 bpp."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SymbolTables:
    """`halves[i]` holds the counts of symbols 0..L of level i, then the count of the escape."""

    halves: tuple[Integers, ...]

    def __post_init__(self) -> None:
        for half in self.halves:
            if half.min() < 1 or half[0] + 2 * half[1:-1].sum() + half[-1] != TOTAL:
                raise ValueError(f"a table must hold positive counts that sum to {TOTAL}")

    @cached_property
    def costs(self) -> NDArray[np.float32]:
        """Bits of |symbol| = 0, 1, ... by level; beyond a table's reach, those of an escape."""
        widest = max(len(half) for half in self.halves)
        costs = np.empty((len(self.halves), widest), np.float32)
        for row, half in zip(costs, self.halves, strict=True):
            row[:] = np.log2(TOTAL / half[-1]) + ESCAPE_BITS
            row[: len(half) - 1] = np.log2(TOTAL / half[:-1])
        return costs

    @cached_property
    def savings(self) -> NDArray[np.float32]:
        """Bits that |symbol| = 0, 1, ... costs more than the symbol before it, by level."""
        return np.diff(self.costs, axis=1, prepend=self.costs[:, :1], append=self.costs[:, -1:])

    def largest(self, level: int) -> int:
        """The largest symbol of `level` that is not an escape."""
        return len(self.halves[level]) - 2

    def probabilities(self, level: int) -> NDArray[np.float64]:
        """Probabilities of -L..L and the escape, exact multiples of 2^-24."""
        half = self.halves[level]
        counts = np.concatenate([half[-2:0:-1], half[:-1], half[-1:]])
        return counts / float(TOTAL)

    def bits(
        self, symbols: NDArray[np.integer], levels: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Bits that each symbol costs under its level's table, same shape as `symbols`."""
        reach = np.minimum(np.abs(symbols), self.costs.shape[1] - 1)
        costs: NDArray[np.float32] = self.costs[levels, reach]
        return costs

    def total_bits(self, symbols: NDArray[np.integer], levels: NDArray[np.integer]) -> float:
        """The sum of `bits`."""
        active = np.flatnonzero(symbols)
        level = levels.ravel()[active]
        silent = np.bincount(levels.ravel(), minlength=LEVELS) - np.bincount(
            level, minlength=LEVELS
        )
        told = self.bits(symbols.ravel()[active], level).sum(dtype=np.float64)
        return float(told + silent[: len(self.costs)] @ self.costs[:, 0].astype(np.float64))

    def quantise(
        self, values: NDArray[np.floating], levels: NDArray[np.integer]
    ) -> NDArray[np.int32]:
        """Round `values` to symbols, one step towards zero where that saves more than it costs.

        A step is taken when bits saved > 14 (added squared error), as in rate-distortion optimised
        quantisation (Sullivan and Wiegand, 1998).
        """
        limit = ESCAPE_RANGE // 2
        symbols = np.zeros(values.shape, np.int32)
        active = np.flatnonzero(np.abs(values) > 0.5)
        value, level = values.ravel()[active], levels.ravel()[active]
        nearest = np.clip(np.rint(value), -limit, limit).astype(np.int32)
        symbol, value = np.abs(nearest), np.abs(value)
        saved = self.savings[level, np.minimum(symbol, self.savings.shape[1] - 1)]
        added = np.square(value - (symbol - 1)) - np.square(value - symbol)
        moved = np.where(saved > MOVE_COST * added, symbol - 1, symbol)
        symbols.ravel()[active] = np.sign(nearest) * moved
        return symbols

    def distortions(self) -> NDArray[np.float64]:
        """Expected squared error of `quantise` per level, in steps^2, for Gaussian values.

        E[(x - Q(x))^2] by the trapezium rule over +-6 deviations.
        """
        return self._expected(lambda values, symbols, _: np.square(values - symbols))

    def expected_bits(self) -> NDArray[np.float64]:
        """Expected bits of a Gaussian value per level, after `quantise`."""
        return self._expected(lambda _, symbols, levels: self.bits(symbols, levels))

    def _expected(
        self, measure: Callable[[Floats, NDArray[np.int32], Integers], NDArray[np.floating]]
    ) -> Floats:
        grid = np.linspace(-6.0, 6.0, QUADRATURE)
        weight = np.exp(-0.5 * grid**2)
        weight /= weight.sum()
        scales = np.exp(FIRST_LOG_SCALE + np.arange(len(self.halves)) / LEVELS_PER_UNIT)
        expected = np.empty(len(scales))
        for level, scale in enumerate(scales):
            values = grid * scale
            levels = np.full(values.shape, level)
            expected[level] = weight @ measure(values, self.quantise(values, levels), levels)
        return expected


def gaussian_tables() -> SymbolTables:
    """Make the tables of a centred Gaussian integrated over each integer bin."""
    halves = []
    for level in range(LEVELS):
        scale = np.exp(FIRST_LOG_SCALE + level / LEVELS_PER_UNIT)
        edges = np.arange(min(WIDEST, int(np.ceil(6 * scale)) + 3) + 1)
        mass = ndtr((edges + 0.5) / scale) - ndtr((edges - 0.5) / scale)
        counts = np.maximum(np.floor(mass * (TOTAL - 4 * len(edges))).astype(np.int64), 1)
        escape = max(1, int(TOTAL * 2e-7))
        counts[0] = TOTAL - escape - 2 * counts[1:].sum()
        halves.append(np.append(counts, escape))
    return SymbolTables(tuple(halves))
