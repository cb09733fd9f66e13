"""RateGuess: bits and error of a tile at steps that it was not coded at.

The scales that the entropy model predicts say in closed form what a Gaussian of each would take
and lose at any step; one step at which the tile was coded says how far off that is. Rate control
needs no more than this: it looks for a step among guesses, and codes few.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.codec.steps import SMALLEST_LOG_Q, STEPS_PER_UNIT, log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT, SymbolTables

_SHIFT = round(-SMALLEST_LOG_Q * STEPS_PER_UNIT)
_PER_LEVEL = STEPS_PER_UNIT // LEVELS_PER_UNIT
_LOWEST, _BINS = -512, 1024
"""Scales are counted in bins of 1/32 in ln, from 512 bins below the smallest table's."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RateCurves:
    """Expected bits, and squared error in steps^2, of a Gaussian value by table level."""

    bits: Floats
    distortions: Floats
    _by_step: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, tables: SymbolTables) -> RateCurves:
        """The curves of `tables` under their own quantiser."""
        return cls(tables.expected_bits(), tables.distortions())

    def bits_by_bin(self, step: int) -> Floats:
        """Expected bits of a value of every bin at `step`."""
        if step not in self._by_step:
            self._by_step[step] = self.bits[_levels(step)]
        return self._by_step[step]


@dataclass(frozen=True)
class RateGuess:
    """How many latents have which scale, and by which factors bits and error are off."""

    counts: Floats
    curves: RateCurves
    bits_factor: float = 1.0
    error_factor: float = 1.0

    @classmethod
    def of(cls, log_scale: NDArray[np.floating], curves: RateCurves) -> RateGuess:
        """The guess from predicted ln scales, any shape."""
        place = log_scale * STEPS_PER_UNIT
        place += 0.5 - _LOWEST - FIRST_LOG_SCALE * STEPS_PER_UNIT
        inside = np.clip(place, 0, _BINS - 1, out=place).astype(np.intp)
        return cls(np.bincount(inside.ravel(), minlength=_BINS).astype(np.float64), curves)

    def through_bits(self, step: int, bits: float) -> RateGuess:
        """The same guess, made right at a step at which the bits are known."""
        factor = self.bits_factor * bits / max(self.bits(step), 1e-9)
        return replace(self, bits_factor=factor)

    def through_error(self, step: int, squared_error: float) -> RateGuess:
        """The same guess, made right at a step at which the squared error is known."""
        factor = self.error_factor * squared_error / max(self.squared_error(step), 1e-9)
        return replace(self, error_factor=factor)

    def bits(self, step: int) -> float:
        """Bits of the latents at `step`."""
        return float(self.counts @ self.curves.bits_by_bin(step)) * self.bits_factor

    def squared_error(self, step: int) -> float:
        """Squared error of the latents at `step`."""
        levels = _levels(step)
        silent = np.exp(2.0 * (FIRST_LOG_SCALE + (np.arange(_BINS) + _LOWEST) / STEPS_PER_UNIT))
        coded = self.curves.distortions[levels] * np.exp(2.0 * log_q(step))
        return float(self.counts @ np.where(levels == 0, silent, coded)) * self.error_factor


def _levels(step: int) -> NDArray[np.int64]:
    """Table level of every bin at `step`."""
    place = np.arange(_BINS) + _LOWEST - step + _SHIFT
    return np.clip((place + _PER_LEVEL // 2) // _PER_LEVEL, 0, LEVELS - 1)
