"""FixedPointHyperprior: the hyper-decoder, computed so that every machine gets the same bits.

Weights are rounded to multiples of 2^-14 and activations to 2^-10, in float64. Every product and
sum is then a dyadic rational of fewer than 53 bits, exact in any order: the scale index, which
chooses the probability table, cannot differ between encoder and decoder. (The aim of Balle,
Johnston and Minnen, 2019, "Integer networks for data compression with latent-variable models".)
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.codec.context import LARGEST_ACTIVATION, MIDDLE_LOG_Q, Stage
from engine.codec.network import HYPER_GAIN, LATENT_GAIN, LOG_SCALE_RANGE, DropoutAutoencoder
from engine.codec.stagecoding import (
    ACTIVATION_BITS,
    CodeRows,
    StageCoder,
    cells_of_class,
    patches_of,
    rounded,
    settled,
)
from engine.codec.steps import hyper_regime, log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT

WEIGHT_BITS = 14
LARGEST_WEIGHT = 16.0


@dataclass(frozen=True)
class Features:
    """What hyper-latents say of B tiles of (h, w) cells: hidden features (B, h, w, guides), and
    the mean and log scale that they predict, (B, h, w, C), all dyadic, float64."""

    hidden: Tensor
    mean: Tensor
    log_scale: Tensor

    @classmethod
    def together(cls, parts: Sequence[Features]) -> Features:
        """Tiles in one, in memory of their own."""
        return cls(
            torch.cat([part.hidden for part in parts]),
            torch.cat([part.mean for part in parts]),
            torch.cat([part.log_scale for part in parts]),
        )

    def tile(self, number: int) -> Features:
        """One tile of these."""
        one = slice(number, number + 1)
        return Features(self.hidden[one], self.mean[one], self.log_scale[one])


class FixedPointHyperprior:
    """Predicts mean and log scale of latents from hyper-symbols, bit for bit alike everywhere.

    So do the networks of the context model, which see the symbols coded before.
    """

    def __init__(self, network: DropoutAutoencoder) -> None:
        layers = (network.hyper_up, network.hyper_mix, network.hyper_out)
        self._weights = [_dyadic(layer.weight, WEIGHT_BITS) for layer in layers]
        self._biases = [
            _dyadic(_bias_of(layer.bias, layer.out_channels), WEIGHT_BITS) for layer in layers
        ]
        prior_mean = _dyadic(network.prior_mean, ACTIVATION_BITS, limit=LARGEST_ACTIVATION)
        self._prior_mean = prior_mean.flatten()
        self._prior_log_scale = _dyadic(network.prior_log_scale, ACTIVATION_BITS).flatten()
        self._mix = self._weights[1].permute(2, 3, 1, 0).reshape(-1, len(self._weights[1]))
        self._out = self._weights[2][:, :, 0, 0].T.contiguous()
        self.context = deepcopy(network.context).double().requires_grad_(requires_grad=False)
        for weight in self.context.parameters():
            weight.copy_(_dyadic(weight, WEIGHT_BITS))
        self._stages = StageCoder(self.context)

    def features(
        self, symbols: NDArray[np.integer], steps: Sequence[int], shape: tuple[int, int]
    ) -> Features:
        """What `symbols` (B, hyper, ceil(h/2), ceil(w/2)) say at each tile's regime."""
        coarseness = [float(1 << hyper_regime(step)) / HYPER_GAIN for step in steps]
        hidden = torch.from_numpy(symbols.astype(np.float64)) * _by_tile(coarseness)
        up = self._weights[0]
        hidden = settled(functional.conv_transpose2d(hidden, up, self._biases[0], 2, 1))
        seen = hidden.permute(0, 2, 3, 1).contiguous()
        tiles, rows, columns, width = seen.shape
        patches = patches_of(seen, cells_of_class("all", rows, columns))
        mixed = torch.addmm(self._biases[1], patches.flatten(0, 1), self._mix)
        mixed = settled(mixed).view(tiles, rows, columns, width)[:, : shape[0], : shape[1]]
        mixed = mixed.contiguous()
        predicted = rounded(torch.addmm(self._biases[2], mixed.flatten(0, 2), self._out))
        mean, log_scale = predicted.view(tiles, *shape, -1).chunk(2, 3)
        mean = torch.add(self._prior_mean, mean, alpha=LATENT_GAIN)
        return Features(mixed, mean, log_scale + self._prior_log_scale)

    def walk(
        self, features: Features, steps: Sequence[int], code: CodeRows
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Symbols, means and log scales (B, h, w, C), float64, at each tile's step.

        `code` gives the symbols of a stage's cells, (B, n, c), from their mean and log scale. The
        features are used up.
        """
        hidden = features.hidden
        fineness = _by_tile([log_q(step) - MIDDLE_LOG_Q for step in steps])
        guide = torch.cat([hidden, fineness.expand(-1, *hidden.shape[1:3], 1)], 3)

        def bounded(stage: Stage, mean: Tensor, log_scale: Tensor) -> Tensor:
            return code(stage, mean, log_scale.clamp(*LOG_SCALE_RANGE))

        symbols, mean, log_scale = self._stages.walk(
            features.mean,
            features.log_scale,
            guide,
            _by_tile([dyadic_q(step) for step in steps])[:, 0],
            bounded,
        )
        return symbols, mean, log_scale.clamp_(*LOG_SCALE_RANGE)


@cache
def dyadic_q(step: int) -> float:
    """The quantisation step q as a multiple of 2^-10, the same on every machine."""
    exact = Context(prec=28).exp(Decimal(log_q(step)))
    return int(exact * (1 << ACTIVATION_BITS) + Decimal("0.5")) / (1 << ACTIVATION_BITS)


def levels_by_tile(log_scale: Tensor, steps: Sequence[int]) -> NDArray[np.uint8]:
    """`scale_levels` of tiles along the first of three axes, each at its own step."""
    first = _by_tile([log_q(step) + FIRST_LOG_SCALE for step in steps])[:, 0]
    position = (log_scale - first).mul_(LEVELS_PER_UNIT).add_(0.5).floor_()
    levels: NDArray[np.uint8] = position.clamp_(0, LEVELS - 1).to(torch.uint8).numpy()
    return levels


def scale_levels(log_scale: NDArray[np.floating], step: int) -> NDArray[np.uint8]:
    """Index of the probability table for each latent, from exact log scales."""
    position = (log_scale - log_q(step) - FIRST_LOG_SCALE) * LEVELS_PER_UNIT
    levels = np.clip(np.floor(position + 0.5), 0, LEVELS - 1)
    return np.asarray(levels, dtype=np.uint8)


def _by_tile(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None]


def _rounded(values: Tensor, bits: int) -> Tensor:
    return torch.floor(values * 2.0**bits + 0.5) * 2.0**-bits


def _dyadic(values: Tensor, bits: int, limit: float = LARGEST_WEIGHT) -> Tensor:
    return _rounded(values.detach().double().clamp(-limit, limit), bits)


def _bias_of(bias: Tensor | None, channels: int) -> Tensor:
    return torch.zeros(channels) if bias is None else bias
