"""StageCoder: the context model's walk as the coder runs it, cell by cell, exact and fast.

The same numbers as `ContextModel.walk` with dyadic rounding gives, bit for bit, in counts of 2^-10.
Only the cells of a stage's class are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.codec.context import (
    DEVIATION_UNIT,
    LARGEST_DEVIATION,
    LARGEST_SYMBOL,
    MEAN_GAIN,
    MIDDLE_LOG_Q,
    ContextModel,
    Stage,
    StageNetwork,
)
from engine.codec.dyadic import (
    ACTIVATION_BITS,
    UNIT,
    ExactLayer,
    cells_of_class,
    settled,
    sums_around,
)
from engine.codec.network import LOG_SCALE_RANGE
from engine.codec.steps import log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT

_LEAST, _MOST = (UNIT * bound for bound in LOG_SCALE_RANGE)
_REACH = LARGEST_DEVIATION * UNIT
_SIZES = np.floor(np.log1p(np.arange(LARGEST_SYMBOL + 1.0)) * UNIT + 0.5)
"""ln(1 + |symbol|), in counts."""

Symbols = NDArray[np.int32]
Levels = NDArray[np.uint8]
CodeRows = Callable[[Stage, Tensor, Levels], Symbols]
"""Symbols (B, n, c) from the mean and the table's level of the n cells of a stage in B tiles."""


@dataclass(frozen=True)
class TileSteps:
    """The steps of B tiles as a walk needs them, each float64 (B, 1, 1).

    `fineness` is what the networks are told, in counts; `first` the level of a log scale of 0,
    with the half of a rounding.
    """

    q: Tensor
    fineness: Tensor
    first: Tensor

    @classmethod
    def of(cls, steps: Sequence[int]) -> TileSteps:
        """Of step indices 0..255."""
        return cls(
            _by_tile([dyadic_q(step) for step in steps]),
            _by_tile([(log_q(step) - MIDDLE_LOG_Q) * UNIT for step in steps]),
            _by_tile([0.5 - (log_q(step) + FIRST_LOG_SCALE) * LEVELS_PER_UNIT for step in steps]),
        )

    def levels(self, log_scale: Tensor) -> Levels:
        """Indices of the probability tables of log scales (B, n, c) in counts."""
        position = torch.add(self.first, log_scale, alpha=LEVELS_PER_UNIT / UNIT)
        levels: Levels = position.clamp_(0, LEVELS - 1).to(torch.uint8).numpy()
        return levels


@dataclass(frozen=True)
class Walked:
    """What a walk found of B tiles, each (B, h, w, C); log scales are natural."""

    symbols: Symbols
    mean: NDArray[np.float32]
    log_scale: NDArray[np.float32]
    levels: Levels


@dataclass(frozen=True)
class _StageLayers:
    """One stage's layers; `fineness` (1, hidden) weighs what the guide is told of the step."""

    squeeze: ExactLayer
    around: ExactLayer
    guide: Tensor
    fineness: Tensor
    mean: ExactLayer
    log_scale: ExactLayer

    @classmethod
    def of(cls, network: StageNetwork) -> _StageLayers:
        biases = {
            name: cast(Tensor, layer.bias)
            for name, layer in network.named_children()
            if isinstance(layer, torch.nn.Conv2d)
        }
        out, bias = network.out.weight.chunk(2), biases["out"].chunk(2)
        guide = ExactLayer.of(network.guide.weight, biases["guide"]).weight
        return cls(
            ExactLayer.of(network.squeeze.weight, biases["squeeze"]),
            ExactLayer.of(network.around.weight, biases["around"] + biases["guide"]),
            guide[:-1],
            guide[-1:],
            ExactLayer.of(out[0], bias[0]),
            ExactLayer.of(out[1], bias[1]),
        )

    def hidden(self, features: Tensor, guides: Tensor, here: Tensor, steps: TileSteps) -> Tensor:
        """Activations (B n, hidden) of the cells `here`, whose `guides` are (B, n, guides).

        `features` (B, h, w, 2 known) are those of all cells.
        """
        seen = settled(self.squeeze.sums(features.flatten(0, 2))).view(*features.shape[:3], -1)
        sums = sums_around(seen, here, self.around.weight)
        sums.addmm_(guides.flatten(0, 1), self.guide)
        by_tile = torch.addcmul(self.around.bias, steps.fineness, self.fineness)
        sums.view(features.shape[0], here.numel(), sums.shape[1]).add_(by_tile)
        return settled(sums)


class StageCoder:
    """Walks the stages of a context model whose weights are dyadic."""

    def __init__(self, context: ContextModel) -> None:
        self.stages = context.stages
        self._layers = [_StageLayers.of(cast(StageNetwork, one)) for one in context.networks]

    def walk(
        self, guides: Tensor, mean: Tensor, log_scale: Tensor, steps: TileSteps, code: CodeRows
    ) -> Walked:
        """Code all stages of B tiles.

        `guides` (B, h, w, guides) are the hyperprior's features, `mean` and `log_scale` (B, h, w,
        C) its word; all but the mean are in counts.
        """
        shape = mean.shape
        guides, mean, log_scale = (part.flatten(1, 2) for part in (guides, mean, log_scale))
        found = tuple(
            torch.empty(mean.shape, dtype=kind)
            for kind in (torch.int32, torch.float32, torch.float32, torch.uint8)
        )
        known = max(stage.known for stage in self.stages)
        features = mean.new_zeros((*shape[:3], 2 * known))
        for stage in self.stages:
            here, part = cells_of_class(stage.cells, *shape[1:3]), slice(stage.first, stage.last)
            here_mean, scale = (_rows(one[..., part], here) for one in (mean, log_scale))
            corrected = None
            if stage.number:
                layers = self._layers[stage.number - 1]
                seen = features[..., : 2 * stage.known]
                hidden = layers.hidden(seen, _rows(guides, here), here, steps)
                corrected = layers.mean.rounded(hidden).view(here_mean.shape)
                here_mean = torch.add(here_mean, corrected, alpha=MEAN_GAIN / UNIT)
                scale = layers.log_scale.rounded(hidden).view(scale.shape).add_(scale)
            scale = scale.clamp(_LEAST, _MOST)
            levels = steps.levels(scale)
            symbols = code(stage, here_mean, levels)
            told = torch.from_numpy(symbols), here_mean, scale, torch.from_numpy(levels)
            for whole, one in zip(found, told, strict=True):
                _put(whole[..., part], here, one)
            if stage.last <= known:
                _tell(features.flatten(1, 2), stage, here, symbols, corrected, steps.q)
        found[2].mul_(1.0 / UNIT)
        return Walked(*(one.view(shape).numpy() for one in found))


def _tell(
    features: Tensor,
    stage: Stage,
    here: Tensor,
    symbols: Symbols,
    corrected: Tensor | None,
    q: Tensor,
) -> None:
    """Write what later stages see of the cells `here` to features (B, n, 2 known).

    How far the coded latents lie from the hyperprior's mean, which was `corrected` by so many
    gains (B, n, c), and ln(1 + |symbol|).
    """
    first, middle, last = 2 * stage.first, stage.first + stage.last, 2 * stage.last
    deviation = torch.from_numpy(symbols) * (q * (UNIT / DEVIATION_UNIT))
    if corrected is not None:
        deviation.add_(corrected, alpha=MEAN_GAIN / DEVIATION_UNIT)
    _put(features[..., first:middle], here, deviation.add_(0.5).floor_().clamp_(-_REACH, _REACH))
    sizes = _SIZES.take(np.abs(symbols), mode="clip")
    _put(features[..., middle:last], here, torch.from_numpy(sizes))


def _rows(values: Tensor, here: Tensor) -> Tensor:
    """The cells `here` of values (B, n, c)."""
    return values if here.numel() == values.shape[1] else values.index_select(1, here)


def _put(whole: Tensor, here: Tensor, values: Tensor) -> None:
    """Write values (B, n, c) to the cells `here` of `whole`."""
    if here.numel() == whole.shape[1]:
        whole.copy_(values)
    else:
        whole.index_copy_(1, here, values.to(whole.dtype))


@cache
def dyadic_q(step: int) -> float:
    """The quantisation step q as a multiple of 2^-10, the same on every machine."""
    exact = Context(prec=28).exp(Decimal(log_q(step)))
    return int(exact * (1 << ACTIVATION_BITS) + Decimal("0.5")) / (1 << ACTIVATION_BITS)


def _by_tile(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]
