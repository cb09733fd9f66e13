"""Learned tiles: the latents of a tile to a payload, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.codec.context import Stage, cells_in
from engine.codec.entropy import PayloadReader, PayloadWriter, Symbols
from engine.codec.hyperprior import Features
from engine.codec.model import CodecModel, one_thread
from engine.codec.network import STRIDE
from engine.codec.rateguess import RateGuess
from engine.codec.stagecoding import Walked
from engine.codec.steps import hyper_regime, log_q
from engine.errors import BitstreamError

LARGEST_HYPER = 4096
TOGETHER = 8
"""Tiles that go through the context model at once."""
MOST_KEPT = 64
"""Tiles whose features are kept in memory, 1.2 MB each, while their rate is looked for."""

Latents = NDArray[np.float32]
Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class CoarseSymbols:
    """What a tile's payload says at `step`: `symbols`, `mean` and `log_scale`, all (C, h, w).

    In memory the channels of a cell lie together.
    """

    symbols: Symbols
    mean: NDArray[np.float32]
    log_scale: NDArray[np.float32]
    step: int

    def window(self, rows: slice, columns: slice) -> CoarseSymbols:
        """The same of some of the tile's cells."""
        part = (slice(None), rows, columns)
        return CoarseSymbols(self.symbols[part], self.mean[part], self.log_scale[part], self.step)


@dataclass(frozen=True)
class DecodedTile:
    """Latents (C, h, w) and the squared error expected per pixel of each latent cell, (h, w)."""

    latents: Latents
    expected_squared_error: NDArray[np.float32]
    coarse: CoarseSymbols = field(repr=False)


@dataclass(frozen=True)
class _Coded:
    """A tile's symbols at a step: hyper, then latents with their prediction and tables."""

    hyper: Symbols
    coarse: CoarseSymbols
    levels: Levels


@dataclass
class TileEncoder:
    """The latents (C, h, w) and hyper-latents of one tile, ready to be coded at any step.

    What was coded last is kept: `code_tiles` codes many tiles at once.
    """

    model: CodecModel
    latents: Latents
    hyper: Latents
    _last: _Coded | None = field(default=None, init=False)
    _guessed: RateGuess | None = field(default=None, init=False)
    _prior: tuple[int, RateGuess] | None = field(default=None, init=False)
    _features: tuple[int, Features] | None = field(default=None, init=False, repr=False)
    _hyper_costs: dict[int, float] = field(default_factory=dict, init=False)

    @property
    def step(self) -> int | None:
        """The step at which the tile was coded last."""
        return None if self._last is None else self._last.coarse.step

    def bits(self, step: int) -> float:
        """Bits that the tables give the tile at step index 0..255, without writing it."""
        coded = self._coded(step)
        return self._latent_bits(coded) + self._hyper_bits(step)

    def estimated_bits(self, step: int) -> float:
        """About what `bits` would say, from the last step that was coded, or from none."""
        return self._hyper_bits(step) + self._guess(step).bits(step)

    def prior_bits(self, step: int) -> float:
        """About what `bits` would say, from the hyper-latent as it was looked at last."""
        guess = self._prior_guess(step) if self._prior is None else self._prior[1]
        return self._hyper_bits(step) + guess.bits(step)

    def estimated_squared_error(self, step: int) -> float:
        """About what `squared_error` would say, from the last step that was coded, or from none."""
        guess, last = self._guess(step), self._last
        if last is None:
            return guess.squared_error(step)
        at = last.coarse.step
        return guess.through_error(at, self._squared_error(last)).squared_error(step)

    def payload(self, step: int) -> bytes:
        """The bytes of the tile at `step`."""
        coded = self._coded(step)
        writer = PayloadWriter(self.model.entropy)
        writer.write(coded.hyper, _hyper_levels(self.model, step, coded.hyper.shape[1:]))
        symbols, levels = coded.coarse.symbols, coded.levels
        places, stages = _coding_order(self.model.network.context.stages, symbols.shape)
        writer.write(_by_cell(symbols)[places], _by_cell(levels)[places], stages)
        return writer.finish()

    def squared_error(self, step: int) -> float:
        """Squared error of the latents at `step`, close to that of the pixels."""
        return self._squared_error(self._coded(step))

    def coarse(self, step: int) -> CoarseSymbols:
        """The symbols at `step` with the prediction they are coded under."""
        return self._coded(step).coarse

    def coded(self, step: int) -> tuple[Symbols, NDArray[np.uint8]]:
        """Symbols and table levels at `step`, both (C, h, w)."""
        found = self._coded(step)
        return found.coarse.symbols, found.levels

    def hyper_symbols(self, step: int) -> Symbols:
        """The hyper-latent in the steps of the regime of `step`."""
        rounded = np.rint(self.hyper / float(1 << hyper_regime(step)))
        return np.asarray(np.clip(rounded, -LARGEST_HYPER, LARGEST_HYPER), np.int32)

    def keep(self, hyper: Symbols, coarse: CoarseSymbols, levels: Levels) -> _Coded:
        """Take what `code_tiles` found."""
        self._last = last = _Coded(hyper, coarse, levels)
        self._guessed = None
        return last

    def keep_prior(self, regime: int, guess: RateGuess, features: Features | None) -> None:
        """Take what `guess_tiles` found; features are kept to code with where they are given."""
        self._prior = regime, guess
        self._features = None if features is None else (regime, features)

    def features(self, step: int) -> Features | None:
        """What the hyper-latent says in the regime of `step`, where that was kept."""
        kept = self._features
        return kept[1] if kept is not None and kept[0] == hyper_regime(step) else None

    def has_prior(self, step: int) -> bool:
        """Whether the hyper-latent was looked at in the regime of `step`."""
        return self._prior is not None and self._prior[0] == hyper_regime(step)

    def _coded(self, step: int) -> _Coded:
        last = self._last
        if last is None or last.coarse.step != step:
            last = self.keep(*_code_alike([self], step)[0])
        return last

    def _guess(self, step: int) -> RateGuess:
        if self._last is None:
            return self._prior_guess(step) if self._prior is None else self._prior[1]
        if self._guessed is None:
            last = self._last
            guess = RateGuess.of(last.coarse.log_scale, self.model.curves)
            self._guessed = guess.through_bits(last.coarse.step, self._latent_bits(last))
        return self._guessed

    def _prior_guess(self, step: int) -> RateGuess:
        if self._prior is None or self._prior[0] != hyper_regime(step):
            ((guess, features),) = _priors([self], step)
            self.keep_prior(hyper_regime(step), guess, features)
            return guess
        return self._prior[1]

    def _latent_bits(self, coded: _Coded) -> float:
        symbols, levels = _by_cell(coded.coarse.symbols), _by_cell(coded.levels)
        return self.model.tables.total_bits(symbols, levels)

    def _hyper_bits(self, step: int) -> float:
        regime = hyper_regime(step)
        if regime not in self._hyper_costs:
            self._hyper_costs[regime] = self._counted_hyper_bits(step)
        return self._hyper_costs[regime]

    def _counted_hyper_bits(self, step: int) -> float:
        symbols = self.hyper_symbols(step)
        levels = _hyper_levels(self.model, step, symbols.shape[1:])
        return float(self.model.tables.bits(symbols, levels).sum(dtype=np.float64))

    def _squared_error(self, coded: _Coded) -> float:
        coarse = coded.coarse
        error = self.latents - coarse.mean - coarse.symbols * np.float32(np.exp(log_q(coarse.step)))
        return float(np.square(error).sum(dtype=np.float64))


def code_tiles(tiles: Sequence[TileEncoder], step: int) -> None:
    """Code tiles of one model at `step`, several at once; each keeps what it became."""
    for some in _alike([tile for tile in tiles if tile.step != step]):
        for tile, found in zip(some, _code_alike(some, step), strict=True):
            tile.keep(*found)


def guess_tiles(tiles: Sequence[TileEncoder], step: int) -> None:
    """Guess the bits of tiles from their hyper-latents in the regime of `step`."""
    keep = len(tiles) <= MOST_KEPT
    for some in _alike([tile for tile in tiles if not tile.has_prior(step)]):
        for tile, (guess, features) in zip(some, _priors(some, step), strict=True):
            tile.keep_prior(hyper_regime(step), guess, features if keep else None)


def _priors(tiles: Sequence[TileEncoder], step: int) -> list[tuple[RateGuess, Features]]:
    """What the hyper-latents of tiles of one shape say."""
    model, found = tiles[0].model, _features_of(tiles, step)
    return [
        (RateGuess.of(one.log_scales(), model.curves), one)
        for one in (found.tile(n) for n in range(len(tiles)))
    ]


def _features_of(tiles: Sequence[TileEncoder], step: int) -> Features:
    """Features of tiles of one shape, in memory of their own."""
    kept = [tile.features(step) for tile in tiles]
    known = [one for one in kept if one is not None]
    if len(known) == len(kept):
        return Features.together(known)
    model, shape = tiles[0].model, tiles[0].latents.shape
    hyper = np.stack([tile.hyper_symbols(step) for tile in tiles])
    with one_thread():
        return model.hyperprior.features(hyper, [step] * len(tiles), (shape[1], shape[2]))


def _alike(tiles: Sequence[TileEncoder]) -> Iterator[list[TileEncoder]]:
    """Tiles of one shape, as many as go through the context model at once."""
    by_shape: dict[tuple[int, ...], list[TileEncoder]] = defaultdict(list)
    for tile in tiles:
        by_shape[tile.latents.shape].append(tile)
    for same in by_shape.values():
        for first in range(0, len(same), TOGETHER):
            yield same[first : first + TOGETHER]


def _code_alike(
    tiles: Sequence[TileEncoder], step: int
) -> list[tuple[Symbols, CoarseSymbols, Levels]]:
    """Hyper-symbols, symbols and their tables' levels of tiles of one shape."""
    model, q, count = tiles[0].model, float(np.exp(log_q(step))), len(tiles)
    channels, rows, columns = tiles[0].latents.shape
    latents = np.empty((count, rows * columns, channels), np.float64)
    for tile, cells in zip(tiles, latents, strict=True):
        cells[:] = tile.latents.reshape(channels, -1).T

    def code(stage: Stage, mean: Tensor, levels: Levels) -> Symbols:
        here, part = _cells(stage, rows, columns), slice(stage.first, stage.last)
        values = latents[:, here, part] - mean.numpy()
        values /= q
        return model.tables.quantise(values, levels)

    steps = [step] * count
    with one_thread():
        walked = model.hyperprior.walk(_features_of(tiles, step), steps, code)
    found = _by_tile(walked, steps)
    return [(tile.hyper_symbols(step), *one) for tile, one in zip(tiles, found, strict=True)]


def _by_tile(walked: Walked, steps: Sequence[int]) -> list[tuple[CoarseSymbols, Levels]]:
    """What was found of each tile, the channels first; in memory they stay together."""
    parts = walked.symbols, walked.mean, walked.log_scale, walked.levels
    symbols, mean, log_scale, levels = (part.transpose(0, 3, 1, 2) for part in parts)
    return [
        (CoarseSymbols(symbols[n], mean[n], log_scale[n], step), levels[n])
        for n, step in enumerate(steps)
    ]


def _by_cell(values: NDArray[Any]) -> NDArray[Any]:
    """(C, h, w) flat as it lies in memory, the channels of a cell together."""
    return values.transpose(1, 2, 0).reshape(-1)


def _cells(stage: Stage, rows: int, columns: int) -> NDArray[np.int64] | slice:
    if stage.cells == "all":
        return slice(None)
    return np.flatnonzero(cells_in(stage.cells, rows, columns))


@lru_cache(maxsize=16)
def _coding_order(
    stages: tuple[Stage, ...], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Places in `_by_cell` of all symbols in the order of coding, and the stage of each."""
    channels, rows, columns = shape
    places, numbers = [], []
    for stage in stages:
        here = np.flatnonzero(cells_in(stage.cells, rows, columns))
        part = np.arange(stage.first, stage.last)
        places.append((here * channels + part[:, None]).ravel())
        numbers.append(np.full(places[-1].shape, stage.number, np.uint16))
    return np.concatenate(places), np.concatenate(numbers)


@dataclass(frozen=True)
class TilePayload:
    """A payload with its step and the `shape` = (h, w) of the latents in it."""

    payload: bytes = field(repr=False)
    step: int
    shape: tuple[int, int]


def decode_tiles(
    model: CodecModel, payloads: Sequence[TilePayload]
) -> list[DecodedTile | BitstreamError]:
    """Decode payloads, several at once; one that cannot be a tile gives its error instead.

    Latents below the smallest table are never sent: their expected squared error is their own
    variance.
    """
    found: dict[int, DecodedTile | BitstreamError] = {}
    waiting: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, one in enumerate(payloads):
        waiting[one.shape].append(number)
    for shape, numbers in waiting.items():
        for first in range(0, len(numbers), TOGETHER):
            some = numbers[first : first + TOGETHER]
            alike = [payloads[number] for number in some]
            found |= dict(zip(some, _decode_alike(model, alike, shape), strict=True))
    return [found[number] for number in range(len(payloads))]


def _decode_alike(
    model: CodecModel, payloads: Sequence[TilePayload], shape: tuple[int, int]
) -> list[DecodedTile | BitstreamError]:
    readers = [_Reader(model, one) for one in payloads]
    steps = [one.step for one in payloads]
    hyper = np.stack([reader.hyper for reader in readers])

    def code(_: Stage, mean: Tensor, levels: Levels) -> Symbols:  # noqa: ARG001
        by_channel = levels.transpose(0, 2, 1)
        symbols = [reader.read(one) for reader, one in zip(readers, by_channel, strict=True)]
        return np.stack(symbols).transpose(0, 2, 1)

    with one_thread():
        features = model.hyperprior.features(hyper, steps, shape)
        found = _by_tile(model.hyperprior.walk(features, steps, code), steps)
    return [
        reader.error or decoded_tile(model, coarse, levels)
        for reader, (coarse, levels) in zip(readers, found, strict=True)
    ]


class _Reader:
    """Reads a tile's payload until an error, and zeros from there on."""

    def __init__(self, model: CodecModel, one: TilePayload) -> None:
        self.error: BitstreamError | None = None
        half = -(-one.shape[0] // 2), -(-one.shape[1] // 2)
        levels = _hyper_levels(model, one.step, half)
        try:
            self._reader = PayloadReader(model.entropy, one.payload)
        except BitstreamError as error:
            self.error = error
        self.hyper = np.clip(self.read(levels), -LARGEST_HYPER, LARGEST_HYPER)

    def read(self, levels: NDArray[np.uint8]) -> Symbols:
        """One symbol for every entry of `levels`, in its shape."""
        if self.error is None:
            try:
                return self._reader.read(levels)
            except BitstreamError as error:
                self.error = error
        return np.zeros(levels.shape, np.int32)


def decoded_tile(
    model: CodecModel, coarse: CoarseSymbols, levels: NDArray[np.uint8]
) -> DecodedTile:
    """Latents and expected error of symbols that were coded with the tables of `levels`."""
    q = np.float32(np.exp(log_q(coarse.step)))
    latents = coarse.symbols * q + coarse.mean
    squared = (model.distortions * q**2)[levels]
    silent = levels == 0
    squared[silent] = np.exp(2.0 * coarse.log_scale[silent])
    expected = squared.sum(axis=0) / STRIDE**2
    return DecodedTile(latents.astype(np.float32), expected.astype(np.float32), coarse)


def _hyper_levels(model: CodecModel, step: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    levels = model.hyper_levels[hyper_regime(step)]
    return np.broadcast_to(levels[:, None, None], (len(levels), *shape)).astype(np.uint8)
