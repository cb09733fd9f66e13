"""Refinement: the cells of part of a tile once more with a finer step, given the coarse symbols.

Each fine symbol is coded under the table that its coarse symbol leaves (`ConditionalTables`), so
that base and refinement together take little more than the fine symbols alone would have. A base
tells little of how fine detail is spread: each of eight bands of channels first says by how much
the predicted scales are to be corrected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.codec.conditional import STEP_MULTIPLE, ConditionalTable
from engine.codec.entropy import PayloadReader, PayloadWriter, Symbols
from engine.codec.hyperprior import scale_levels
from engine.codec.learned import CoarseSymbols, DecodedTile, Latents, decoded_tile
from engine.codec.model import CodecModel
from engine.codec.steps import STEPS, log_q
from engine.codec.tables import LEVELS, LEVELS_PER_UNIT, MOVE_COST
from engine.errors import BitstreamError

FIRST_REFINEMENT = 0x80000000
SIDES = (32, 64, 128, 256)
"""Sides in pixels of the square parts that a packet may refine."""
BANDS = 8
CORRECTIONS = tuple(range(-26, 8, 2))
"""What may be added to the levels of a band, in eighths of ln scale."""
_NONE = CORRECTIONS.index(0)
_SIDE_SHIFT, _FROM_SHIFT = 28, 20
_INDEX = (1 << _FROM_SHIFT) - 1


@dataclass(frozen=True)
class RefinedPart:
    """What the number of a refinement packet says.

    It makes finer the part `index`, in raster order of squares of `side` pixels, plane by plane,
    from what is known at step `coarse` of it.
    """

    side: int
    coarse: int
    index: int

    @property
    def number(self) -> int:
        """The packet number. Raises ValueError when the part cannot be named."""
        if self.side not in SIDES or not 0 <= self.index <= _INDEX or not 0 <= self.coarse < STEPS:
            raise ValueError(
                f"a refined part has a side of {SIDES}, a step below {STEPS} and an index below "
                f"2^{_FROM_SHIFT}, got {self}: take a larger side"
            )
        side = SIDES.index(self.side) << _SIDE_SHIFT
        return FIRST_REFINEMENT | side | self.coarse << _FROM_SHIFT | self.index


def refined_part(number: int) -> RefinedPart | None:
    """The part that a packet number names, None when it is not a refinement's."""
    code = (number - FIRST_REFINEMENT) >> _SIDE_SHIFT
    if not 0 <= code < len(SIDES):
        return None
    return RefinedPart(SIDES[code], number >> _FROM_SHIFT & (STEPS - 1), number & _INDEX)


def refined_payload(model: CodecModel, latents: Latents, coarse: CoarseSymbols, step: int) -> bytes:
    """The bytes that turn `coarse` into `latents` (C, h, w) at the finer `step`.

    Raises ValueError unless `step` is finer by a multiple of 4.
    """
    if _ratio(coarse, step) is None:
        raise ValueError(f"cannot refine step {coarse.step} to {step}: go down by multiples of 4")
    values = ((latents - coarse.mean) / np.exp(log_q(step))).ravel()
    symbols, costs = _coded(model, values, coarse, step, _uncorrected(coarse))
    guess = _corrections(values, coarse, step)
    others, other_costs = _coded(model, values, coarse, step, guess)
    better = other_costs + _CORRECTION_BITS < costs
    chosen = np.where(better & (guess != _NONE), guess, _NONE)
    writer = PayloadWriter(model.entropy)
    writer.write_group(chosen, _CORRECTION_MODEL)
    by_band = np.repeat(chosen != _NONE, _per_band(coarse)).reshape(symbols.shape)
    symbols = np.where(by_band, others, symbols).ravel()
    for members, signs, table in _groups(model, coarse, step, chosen):
        if table.categorical is not None:
            indices = symbols[members] * signs - table.first
            writer.write_group(indices, table.categorical)
    return writer.finish()


def refined_tile(
    model: CodecModel, payload: bytes, coarse: CoarseSymbols, step: int
) -> DecodedTile:
    """Decode a refinement. Raises BitstreamError when the payload cannot be one."""
    if _ratio(coarse, step) is None:
        raise BitstreamError(f"step {coarse.step} cannot be refined to {step}")
    reader = PayloadReader(model.entropy, payload)
    chosen = reader.read_group(_CORRECTION_MODEL, BANDS)
    fine = np.empty(coarse.symbols.size, np.int32)
    for members, signs, table in _groups(model, coarse, step, chosen):
        indices: Symbols | int = 0
        if table.categorical is not None:
            indices = reader.read_group(table.categorical, len(members))
        fine[members] = (indices + table.first) * signs
    symbols = fine.reshape(coarse.symbols.shape)
    refined = CoarseSymbols(symbols, coarse.mean, coarse.log_scale, step)
    return decoded_tile(model, refined, scale_levels(coarse.log_scale, step))


def _ratio(coarse: CoarseSymbols, step: int) -> int | None:
    ratio = coarse.step - step
    return ratio if ratio > 0 and ratio % STEP_MULTIPLE == 0 else None


def _correction_model() -> Any:
    share = np.full(len(CORRECTIONS), 1.0 / 64)
    share[_NONE] = 1.0 - (len(CORRECTIONS) - 1) / 64
    return constriction.stream.model.Categorical(share, perfect=False)


_CORRECTION_MODEL = _correction_model()
_CORRECTION_BITS = 6.0


def _uncorrected(_: CoarseSymbols) -> Symbols:
    return np.full(BANDS, _NONE, np.int32)


def _per_band(coarse: CoarseSymbols) -> int:
    """Latents of a band. Channels are ordered by frequency; the count is a multiple of eight."""
    return coarse.symbols.size // BANDS


def _coded(
    model: CodecModel,
    values: NDArray[np.float64],
    coarse: CoarseSymbols,
    step: int,
    corrections: Symbols,
) -> tuple[Symbols, NDArray[np.float64]]:
    """Fine symbols (BANDS, n) and their bits plus weighted squared error by band."""
    symbols, spent = np.empty(values.size, np.int32), np.empty(values.size)
    for members, signs, table in _groups(model, coarse, step, corrections):
        indices = table.quantise(values[members] * signs)
        symbols[members] = (indices + table.first) * signs
        spent[members] = table.costs[indices]
    spent += MOVE_COST * np.square(values - symbols)
    return symbols.reshape(BANDS, -1), spent.reshape(BANDS, -1).sum(axis=1)


def _corrections(values: NDArray[np.float64], coarse: CoarseSymbols, step: int) -> Symbols:
    """What the second moments of the latents say, by band, where the coarse symbol is zero."""
    scale = np.exp(coarse.log_scale - log_q(step)).reshape(BANDS, -1)
    counted = (coarse.symbols.reshape(BANDS, -1) == 0) & (scale > 0.25)
    found = np.where(counted, np.square(values.reshape(BANDS, -1)), 0.0).sum(axis=1)
    told = np.where(counted, np.square(scale), 0.0).sum(axis=1)
    levels = 0.5 * LEVELS_PER_UNIT * np.log(np.maximum(found, 1e-9) / np.maximum(told, 1e-9))
    nearest = np.abs(levels[:, None] - np.array(CORRECTIONS)).argmin(axis=1)
    return np.where(told > 0, nearest, _NONE).astype(np.int32)


def _groups(
    model: CodecModel, coarse: CoarseSymbols, step: int, corrections: Symbols
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], ConditionalTable]]:
    """Positions that share a table, the sign that turns each to it, and the table."""
    symbols = coarse.symbols.ravel()
    levels = scale_levels(coarse.log_scale, coarse.step).ravel().astype(np.int64)
    added = np.repeat(np.array(CORRECTIONS)[corrections], _per_band(coarse))
    fine_levels = scale_levels(coarse.log_scale, step).ravel() + added
    fine_levels = np.clip(fine_levels, 0, LEVELS - 1).astype(np.int64)
    keys = (np.abs(symbols).astype(np.int64) << 16) | (levels << 8) | fine_levels
    order = np.argsort(keys, kind="stable")
    present, starts = np.unique(keys[order], return_index=True)
    signs = np.where(symbols < 0, np.int32(-1), np.int32(1))
    for key, members in zip(present, np.split(order, starts[1:]), strict=True):
        value = int(key)
        table = model.conditional.table(
            value >> 16, value >> 8 & 0xFF, value & 0xFF, coarse.step - step
        )
        yield members, signs[members], table
