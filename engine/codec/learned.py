"""Learned tiles: the latents of a tile to a payload, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.codec.context import Stage, cells_in
from engine.codec.entropy import PayloadReader, PayloadWriter, Symbols
from engine.codec.hyperprior import Features, Prediction, scale_levels
from engine.codec.model import CodecModel, one_thread
from engine.codec.network import STRIDE
from engine.codec.rateguess import RateGuess
from engine.codec.steps import hyper_regime, log_q
from engine.errors import BitstreamError

LARGEST_HYPER = 4096
TOGETHER = 8
"""Tiles that go through the context model at once."""

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class CoarseSymbols:
    """What a tile's payload says at `step`: `symbols`, `mean` and `log_scale`, all (C, h, w)."""

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
    levels: NDArray[np.uint8]


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

    def estimated_squared_error(self, step: int) -> float:
        """About what `squared_error` would say, from the last step that was coded, or from none."""
        return self._guess(step).squared_error(step)

    def payload(self, step: int) -> bytes:
        """The bytes of the tile at `step`."""
        coded = self._coded(step)
        writer = PayloadWriter(self.model.entropy)
        writer.write(coded.hyper, _hyper_levels(self.model, step, coded.hyper.shape[1:]))
        symbols, levels = coded.coarse.symbols, coded.levels
        for stage in self.model.network.context.stages:
            here = cells_in(stage.cells, symbols.shape[1], symbols.shape[2])
            part = slice(stage.first, stage.last)
            writer.write(symbols[part][:, here], levels[part][:, here])
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

    def keep(self, hyper: Symbols, coarse: CoarseSymbols) -> _Coded:
        """Take what `code_tiles` found."""
        levels = scale_levels(coarse.log_scale, coarse.step)
        self._last = last = _Coded(hyper, coarse, levels)
        self._guessed = None
        return last

    def _coded(self, step: int) -> _Coded:
        last = self._last
        if last is None or last.coarse.step != step:
            last = self.keep(*_code_alike([self], step)[0])
        return last

    def _guess(self, step: int) -> RateGuess:
        if self._guessed is None:
            last, curves = self._last, self.model.curves
            if last is None:
                shape = self.latents.shape[1], self.latents.shape[2]
                found = _features(self.model, self.hyper_symbols(step)[None], [step], shape)
                self._guessed = RateGuess.of(found.log_scale.numpy(), curves)
            else:
                guess = RateGuess.of(last.coarse.log_scale, curves)
                self._guessed = guess.through(
                    last.coarse.step, self._latent_bits(last), self._squared_error(last)
                )
        return self._guessed

    def _latent_bits(self, coded: _Coded) -> float:
        bits = self.model.tables.bits(coded.coarse.symbols, coded.levels)
        return float(bits.sum(dtype=np.float64))

    def _hyper_bits(self, step: int) -> float:
        symbols = self.hyper_symbols(step)
        levels = _hyper_levels(self.model, step, symbols.shape[1:])
        return float(self.model.tables.bits(symbols, levels).sum(dtype=np.float64))

    def _squared_error(self, coded: _Coded) -> float:
        coarse = coded.coarse
        error = self.latents - coarse.mean - coarse.symbols * np.float32(np.exp(log_q(coarse.step)))
        return float(np.square(error).sum(dtype=np.float64))


def code_tiles(tiles: Sequence[TileEncoder], step: int) -> None:
    """Code tiles of one model at `step`, several at once; each keeps what it became."""
    waiting: dict[tuple[int, int], list[TileEncoder]] = defaultdict(list)
    for tile in tiles:
        if tile.step != step:
            waiting[tile.latents.shape[1], tile.latents.shape[2]].append(tile)
    for alike in waiting.values():
        for first in range(0, len(alike), TOGETHER):
            some = alike[first : first + TOGETHER]
            for tile, found in zip(some, _code_alike(some, step), strict=True):
                tile.keep(*found)


def _code_alike(tiles: Sequence[TileEncoder], step: int) -> list[tuple[Symbols, CoarseSymbols]]:
    """Hyper-symbols and symbols of tiles of one shape."""
    model, q = tiles[0].model, np.exp(log_q(step))
    latents = np.stack([tile.latents for tile in tiles])
    hyper = np.stack([tile.hyper_symbols(step) for tile in tiles])

    def code(stage: Stage, predicted: Prediction) -> Symbols:
        values = (latents[:, stage.first : stage.last] - predicted[0]) / q
        return model.tables.quantise(values, scale_levels(predicted[1], step))

    steps = [step] * len(tiles)
    with one_thread():
        features = model.hyperprior.features(hyper, steps, latents.shape[2:])
        symbols, (mean, log_scale) = model.hyperprior.walk(features, steps, code)
    return [(hyper[n], _coarse(symbols[n], mean[n], log_scale[n], step)) for n in range(len(tiles))]


def _coarse(
    symbols: Symbols, mean: NDArray[np.float64], log_scale: NDArray[np.float64], step: int
) -> CoarseSymbols:
    """What one tile's symbols say. Dyadic numbers of this size are exact in single precision."""
    return CoarseSymbols(
        symbols.copy(), mean.astype(np.float32), log_scale.astype(np.float32), step
    )


@dataclass(frozen=True)
class TilePayload:
    """A payload with its step and the `shape` = (h, w) of the latents in it."""

    payload: bytes = field(repr=False)
    step: int
    shape: tuple[int, int]


def decode_tile(
    model: CodecModel, payload: bytes, step: int, shape: tuple[int, int]
) -> DecodedTile:
    """Decode the payload of a tile whose latents have `shape` = (h, w).

    Raises BitstreamError when the payload cannot be one.
    """
    decoded = decode_tiles(model, [TilePayload(payload, step, shape)])[0]
    if isinstance(decoded, BitstreamError):
        raise decoded
    return decoded


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

    def code(stage: Stage, predicted: Prediction) -> Symbols:
        here = cells_in(stage.cells, *shape)
        symbols = np.zeros(predicted[1].shape, np.int32)
        for n, reader in enumerate(readers):
            symbols[n][:, here] = reader.read(scale_levels(predicted[1][n][:, here], steps[n]))
        return symbols

    with one_thread():
        features = model.hyperprior.features(hyper, steps, shape)
        symbols, (mean, log_scale) = model.hyperprior.walk(features, steps, code)
    return [
        reader.error
        or decoded_tile(
            model,
            _coarse(symbols[n], mean[n], log_scale[n], steps[n]),
            scale_levels(log_scale[n], steps[n]),
        )
        for n, reader in enumerate(readers)
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
    silent = np.exp(2.0 * coarse.log_scale)
    squared = np.where(levels == 0, silent, model.distortions[levels] * q**2)
    expected = squared.sum(axis=0) / STRIDE**2
    return DecodedTile(latents.astype(np.float32), expected.astype(np.float32), coarse)


def _features(
    model: CodecModel, hyper: Symbols, steps: Sequence[int], shape: tuple[int, int]
) -> Features:
    with one_thread():
        return model.hyperprior.features(hyper, steps, shape)


def _hyper_levels(model: CodecModel, step: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    levels = model.hyper_levels[hyper_regime(step)]
    return np.broadcast_to(levels[:, None, None], (len(levels), *shape)).astype(np.uint8)
