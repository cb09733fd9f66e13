"""ConditionalTables: integer probabilities of a fine symbol where the coarse one is known.

A latent that was coded with a coarse step lies in a known interval. A finer symbol of the same
latent can only be one whose bin meets that interval, and its probability is the fine table's count
times the share of the bin inside: an embedded quantiser (Shapiro, 1993; Taubman, 2000) for the
Gaussian tables of the one-shot coder. Everything is computed in integers from the stored counts and
from correctly rounded decimal arithmetic, so that every machine gets the same tables.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache, cached_property
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.codec.steps import STEPS_PER_UNIT
from engine.codec.tables import ESCAPE_BITS, LEVELS_PER_UNIT, MOVE_COST, TOTAL, SymbolTables

STEP_MULTIPLE = STEPS_PER_UNIT // LEVELS_PER_UNIT
"""Coarse and fine steps differ by a multiple of this, so that their levels move together."""
EVEN_SHARE_BITS = 12
"""2^-12 of the probability is spread evenly: a coarse prediction can be far off at fine steps."""
_EXACT = Context(prec=28)
_ONE = 1 << 12
_WHOLE = _ONE * _ONE
_LARGEST_SUPPORT = 4096

Symbols = NDArray[np.int64]


class ConditionalTable:
    """The fine symbols first, first + 1, ... that a coarse one allows, with their counts."""

    def __init__(self, first: int, counts: NDArray[np.int64]) -> None:
        self.first = first
        self.counts = counts
        self.costs = np.log2(TOTAL / counts)

    @cached_property
    def categorical(self) -> Any:
        """The coder's form; None where there is one symbol only, which needs no bits."""
        if len(self.counts) == 1:
            return None
        return constriction.stream.model.Categorical(self.counts / float(TOTAL), perfect=False)

    def quantise(self, values: NDArray[np.float64]) -> Symbols:
        """Offsets from `first` of the symbols for `values`, in fine steps; costs bits and error.

        Each value goes to its nearest symbol, or one step nearer to zero where that saves more
        bits than 14 times the squared error it adds.
        """
        last = len(self.counts) - 1
        nearest = np.clip(np.rint(values).astype(np.int64) - self.first, 0, last)
        symbol = nearest + self.first
        smaller = np.clip(nearest - np.sign(symbol), 0, last)
        saved = self.costs[nearest] - self.costs[smaller]
        added = np.square(values - (smaller + self.first)) - np.square(values - symbol)
        return np.where(saved > MOVE_COST * np.maximum(added, 0.0), smaller, nearest)


class ConditionalTables:
    """Makes tables when they are first asked for."""

    def __init__(self, tables: SymbolTables) -> None:
        self._tables = tables
        self._made: dict[tuple[int, int, int, int], ConditionalTable] = {}

    def table(self, coarse: int, level: int, fine_level: int, ratio: int) -> ConditionalTable:
        """The table of the fine symbol, given the coarse symbol's magnitude `coarse`.

        `level` and `fine_level` are the Gaussian's levels in coarse and fine steps, and `ratio` is
        32 ln(coarse step / fine step), a multiple of 4. For coarse > 0 it is that of a positive
        coarse symbol; a negative one is its mirror image.
        """
        key = coarse, level, fine_level, ratio
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, coarse: int, level: int, fine_level: int, ratio: int) -> ConditionalTable:
        stretch = _stretch(ratio)
        low, high = (self._threshold(level, n) * stretch for n in (coarse, coarse + 1))
        if coarse == 0:
            low = -high
        half = self._tables.halves[fine_level]
        first, last = (low + _WHOLE // 2) // _WHOLE, (high + _WHOLE // 2 - 1) // _WHOLE
        if coarse == 0:
            last = min(last, self._tables.largest(fine_level) + 1)
            first = -last
        last = min(last, first + _LARGEST_SUPPORT)
        symbols = np.arange(first, last + 1, dtype=np.int64)
        edges = symbols * _WHOLE - _WHOLE // 2
        inside = np.minimum(edges + _WHOLE, high) - np.maximum(edges, low)
        inside = np.clip(inside, 0, _WHOLE) >> 8
        reach = np.minimum(np.abs(symbols), len(half) - 1)
        weights = half[reach] * inside
        total = int(weights.sum())
        even = total // (int(inside.sum()) << EVEN_SHARE_BITS) if total else 1
        return ConditionalTable(int(first), _counts(weights + inside * even + 1))

    def _threshold(self, level: int, symbol: int) -> int:
        """Where `SymbolTables.quantise` begins to give `symbol`, in 2^-12 coarse steps."""
        if symbol == 0:
            return 0
        edge = symbol * _ONE - _ONE // 2
        saved = _EXACT.subtract(self._bits(level, symbol), self._bits(level, symbol - 1))
        return edge + min(_moved(saved), _ONE)

    def _bits(self, level: int, symbol: int) -> Decimal:
        half = self._tables.halves[level]
        if symbol > len(half) - 2:
            return _EXACT.add(_bits(int(half[-1])), Decimal(ESCAPE_BITS))
        return _bits(int(half[symbol]))


def _moved(saved: Decimal) -> int:
    return max(0, int(_EXACT.divide(_EXACT.multiply(saved, Decimal(_ONE)), Decimal(2 * MOVE_COST))))


@cache
def _bits(count: int) -> Decimal:
    ratio = _EXACT.divide(Decimal(TOTAL), Decimal(count))
    return _EXACT.divide(_EXACT.ln(ratio), _EXACT.ln(Decimal(2)))


@cache
def _stretch(ratio: int) -> int:
    """exp(ratio / 32) in units of 2^-12."""
    power = _EXACT.exp(_EXACT.divide(Decimal(ratio), Decimal(STEPS_PER_UNIT)))
    return int(_EXACT.add(_EXACT.multiply(power, Decimal(_ONE)), Decimal("0.5")))


def _counts(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positive counts that sum to 2^24, close to proportional to `weights`."""
    share = TOTAL - 2 * len(weights)
    scaled = weights.astype(object) * share // int(weights.sum())
    counts = np.maximum(scaled.astype(np.int64), 1)
    counts[int(np.argmax(counts))] += TOTAL - int(counts.sum())
    return counts
