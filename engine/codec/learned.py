"""Learned tiles: the latents of a tile to a payload, and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.codec.entropy import PayloadReader, PayloadWriter, Symbols
from engine.codec.hyperprior import Prediction, scale_levels
from engine.codec.model import CodecModel, one_thread
from engine.codec.network import STRIDE
from engine.codec.steps import hyper_regime, log_q

LARGEST_HYPER = 4096

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class CoarseSymbols:
    """What a tile's payload says at `step`: `symbols`, `mean` and `log_scale`, all (C, h, w)."""

    symbols: Symbols
    mean: NDArray[np.float64]
    log_scale: NDArray[np.float64]
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


@dataclass
class TileEncoder:
    """The latents (C, h, w) and hyper-latents of one tile, ready to be coded at any step."""

    model: CodecModel
    latents: Latents
    hyper: Latents
    _bits: dict[int, float] = field(default_factory=dict, init=False)
    _predictions: dict[int, Prediction] = field(default_factory=dict, init=False)

    def bits(self, step: int) -> float:
        """Bits that the tables give the tile at step index 0..255, without coding it."""
        if step not in self._bits:
            hyper_symbols, symbols, levels = self._quantise(step)
            tables = self.model.tables
            hyper_levels = _hyper_levels(self.model, step, hyper_symbols.shape[1:])
            total = tables.bits(symbols, levels).sum(dtype=np.float64)
            total += tables.bits(hyper_symbols, hyper_levels).sum(dtype=np.float64)
            self._bits[step] = float(total)
        return self._bits[step]

    def payload(self, step: int) -> bytes:
        """The bytes of the tile at `step`."""
        hyper_symbols, symbols, levels = self._quantise(step)
        writer = PayloadWriter(self.model.entropy)
        writer.write(hyper_symbols, _hyper_levels(self.model, step, hyper_symbols.shape[1:]))
        writer.write(symbols, levels)
        return writer.finish()

    def squared_error(self, step: int) -> float:
        """Squared error of the latents at `step`, close to that of the pixels."""
        coarse = self.coarse(step)
        error = self.latents - coarse.mean - coarse.symbols * np.exp(log_q(step))
        return float(np.square(error).sum())

    def coarse(self, step: int) -> CoarseSymbols:
        """The symbols at `step` with the prediction they are coded under."""
        _, symbols, _ = self._quantise(step)
        return CoarseSymbols(symbols, *self._predictions[hyper_regime(step)], step)

    def _quantise(self, step: int) -> tuple[Symbols, Symbols, NDArray[np.uint8]]:
        regime = hyper_regime(step)
        rounded = np.rint(self.hyper / float(1 << regime))
        hyper_symbols = np.clip(rounded, -LARGEST_HYPER, LARGEST_HYPER).astype(np.int32)
        if regime not in self._predictions:
            self._predictions[regime] = _predict(
                self.model, hyper_symbols, step, self.latents.shape[1:]
            )
        mean, log_scale = self._predictions[regime]
        levels = scale_levels(log_scale, step)
        values = (self.latents - mean) / np.exp(log_q(step))
        return hyper_symbols, self.model.tables.quantise(values, levels), levels


def decode_tile(
    model: CodecModel, payload: bytes, step: int, shape: tuple[int, int]
) -> DecodedTile:
    """Decode the payload of a tile whose latents have `shape` = (h, w).

    Latents below the smallest table are never sent: their expected squared error is their own
    variance. Raises BitstreamError when the payload cannot be one.
    """
    reader = PayloadReader(model.entropy, payload)
    half = -(-shape[0] // 2), -(-shape[1] // 2)
    hyper_symbols = reader.read(_hyper_levels(model, step, half))
    bounded = np.clip(hyper_symbols, -LARGEST_HYPER, LARGEST_HYPER)
    mean, log_scale = _predict(model, bounded, step, shape)
    levels = scale_levels(log_scale, step)
    symbols = reader.read(levels)
    return decoded_tile(model, CoarseSymbols(symbols, mean, log_scale, step), levels)


def decoded_tile(
    model: CodecModel, coarse: CoarseSymbols, levels: NDArray[np.uint8]
) -> DecodedTile:
    """Latents and expected error of symbols that were coded with the tables of `levels`."""
    q = np.exp(log_q(coarse.step))
    latents = coarse.symbols * q + coarse.mean
    silent = np.exp(2.0 * coarse.log_scale)
    squared = np.where(levels == 0, silent, model.distortions[levels] * q**2)
    expected = squared.sum(axis=0) / STRIDE**2
    return DecodedTile(latents.astype(np.float32), expected.astype(np.float32), coarse)


def _predict(
    model: CodecModel, hyper_symbols: Symbols, step: int, shape: tuple[int, ...]
) -> Prediction:
    with one_thread():
        return model.hyperprior.predict(hyper_symbols, step, (shape[0], shape[1]))


def _hyper_levels(model: CodecModel, step: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    levels = model.hyper_levels[hyper_regime(step)]
    return np.broadcast_to(levels[:, None, None], (len(levels), *shape)).astype(np.uint8)
