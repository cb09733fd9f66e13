"""StageCoder: the context model's walk as the coder runs it, cell by cell, exact and fast.

The same numbers as `ContextModel.walk` with dyadic rounding gives, bit for bit: weights and
activations are dyadic, so that every sum is exact in float64 in any order. Cells are rows of
matrices here, only the cells of a stage's class are computed, and products are the processor's own
matrix products, which take a fraction of the time of its float64 convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from engine.codec.context import (
    DEVIATION_UNIT,
    LARGEST_ACTIVATION,
    LARGEST_DEVIATION,
    LARGEST_SYMBOL,
    MEAN_GAIN,
    ContextModel,
    Stage,
    StageNetwork,
    cells_in,
)

ACTIVATION_BITS = 10
_UNIT = float(1 << ACTIVATION_BITS)
_SIZES = torch.floor(torch.log1p(torch.arange(LARGEST_SYMBOL + 1.0).double()) * _UNIT + 0.5) / _UNIT
"""ln(1 + |symbol|), rounded."""

CodeRows = Callable[[Stage, Tensor, Tensor], Tensor]
"""Symbols (B, n, c), float64, from mean and log scale of the n cells of a stage in B tiles."""


@dataclass(frozen=True)
class _StageWeights:
    """One stage's layers as matrices, (inputs, outputs)."""

    squeeze: Tensor
    squeeze_bias: Tensor
    around: Tensor
    guide: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor

    @classmethod
    def of(cls, network: StageNetwork) -> _StageWeights:
        def matrix(weight: Tensor) -> Tensor:
            return weight.detach().permute(2, 3, 1, 0).reshape(-1, len(weight)).contiguous()

        def bias(layer: torch.nn.Conv2d) -> Tensor:
            return cast(Tensor, layer.bias).detach()

        return cls(
            matrix(network.squeeze.weight),
            bias(network.squeeze),
            matrix(network.around.weight),
            matrix(network.guide.weight),
            bias(network.around) + bias(network.guide),
            matrix(network.out.weight),
            bias(network.out),
        )


class StageCoder:
    """Walks the stages of a context model whose weights are dyadic, in float64."""

    def __init__(self, context: ContextModel) -> None:
        self.stages = context.stages
        self._weights = [_StageWeights.of(cast(StageNetwork, one)) for one in context.networks]

    def walk(
        self,
        mean: Tensor,
        log_scale: Tensor,
        guide: Tensor,
        q: Tensor,
        code: CodeRows,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Symbols, means and log scales, all float64 (B, h, w, C).

        `mean` and `log_scale` (B, h, w, C) are the hyperprior's, and are changed in place; `guide`
        (B, h, w, guides + 1); `q` (B, 1, 1), each tile's step.
        """
        tiles, rows, columns, channels = mean.shape
        flat = (tiles, rows * columns)
        means, scales = mean.view(*flat, channels), log_scale.view(*flat, channels)
        guides = guide.reshape(*flat, -1)
        symbols = torch.empty_like(means)
        known = max(stage.known for stage in self.stages)
        features = means.new_zeros((*flat, 2 * known))
        for stage in self.stages:
            cells, part = cells_of_class(stage.cells, rows, columns), slice(stage.first, stage.last)
            here = slice(None) if stage.cells == "all" else cells
            before = means[:, here, part]
            here_mean, here_scale = before, scales[:, here, part]
            if stage.number:
                weights = self._weights[stage.number - 1]
                added = _corrections(
                    weights, features[..., : 2 * stage.known], guides, cells, (rows, columns)
                )
                width = stage.last - stage.first
                here_mean = torch.add(before, added[..., :width], alpha=MEAN_GAIN)
                here_scale = here_scale + added[..., width:]
            coded = code(stage, here_mean, here_scale)
            symbols[:, here, part] = coded
            if stage.last <= known:
                first, middle = 2 * stage.first, stage.first + stage.last
                deviation = coded * q + (here_mean - before if stage.number else 0.0)
                features[:, here, first:middle] = rounded(
                    (deviation / DEVIATION_UNIT).clamp_(-LARGEST_DEVIATION, LARGEST_DEVIATION)
                )
                sizes = _SIZES[coded.abs().clamp_(max=LARGEST_SYMBOL).long()]
                features[:, here, middle : 2 * stage.last] = sizes
            if stage.number:
                means[:, here, part], scales[:, here, part] = here_mean, here_scale
        shape = (tiles, rows, columns, channels)
        return symbols.view(shape), means.view(shape), scales.view(shape)


def _corrections(
    weights: _StageWeights, features: Tensor, guides: Tensor, here: Tensor, shape: tuple[int, int]
) -> Tensor:
    """Corrections (B, n, 2 c) of the cells `here`."""
    tiles, cells = features.shape[:2]
    seen = settled(torch.matmul(features, weights.squeeze).add_(weights.squeeze_bias))
    patches = patches_of(seen.view(tiles, *shape, -1), here)
    rows = patches.flatten(0, 1)
    hidden = torch.addmm(weights.hidden_bias, rows, weights.around)
    near = guides if len(here) == cells else guides.index_select(1, here)
    hidden = settled(hidden.addmm_(near.flatten(0, 1), weights.guide))
    made = rounded(torch.addmm(weights.out_bias, hidden, weights.out))
    return made.view(tiles, len(here), made.shape[1])


def patches_of(seen: Tensor, here: Tensor) -> Tensor:
    """The 3 x 3 cells around each of `here`, (B, n, 9 c), zeros beyond the tile."""
    tiles, rows, columns, width = seen.shape
    wide = seen.new_zeros((tiles, rows + 2, columns + 2, width))
    wide[:, 1:-1, 1:-1] = seen
    corner = here // columns * (columns + 2) + here % columns
    places = corner[:, None] + _offsets(columns + 2)
    flat = wide.view(tiles, -1, width)
    return flat.index_select(1, places.view(-1)).view(tiles, len(here), 9 * width)


@cache
def _offsets(stride: int) -> Tensor:
    return torch.tensor([y * stride + x for y in range(3) for x in range(3)])


@cache
def cells_of_class(name: str, rows: int, columns: int) -> Tensor:
    return torch.from_numpy(np.flatnonzero(cells_in(name, rows, columns)))


def settled(values: Tensor) -> Tensor:
    return rounded(values).clamp_(0.0, LARGEST_ACTIVATION)


def rounded(values: Tensor) -> Tensor:
    """`values` to multiples of 2^-10, halves upwards; in place."""
    return values.mul_(_UNIT).add_(0.5).floor_().div_(_UNIT)
