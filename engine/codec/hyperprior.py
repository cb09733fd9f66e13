"""FixedPointHyperprior: the hyper-decoder, computed so that every machine gets the same bits.

Weights are rounded to multiples of 2^-14 and activations to 2^-10, in float64, which makes every
sum exact: the scale index, which chooses the probability table, cannot differ between encoder and
decoder. (The aim of Balle, Johnston and Minnen, 2019, "Integer networks for data compression with
latent-variable models".)
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.codec.context import LARGEST_ACTIVATION
from engine.codec.dyadic import (
    ACTIVATION_BITS,
    UNIT,
    WEIGHT_BITS,
    ExactLayer,
    cells_of_class,
    dyadic,
    settled,
    sums_around,
)
from engine.codec.network import HYPER_GAIN, LATENT_GAIN, DropoutAutoencoder
from engine.codec.stagecoding import CodeRows, StageCoder, TileSteps, Walked
from engine.codec.steps import hyper_regime, log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT


@dataclass(frozen=True)
class Features:
    """What hyper-latents say of B tiles of (h, w) cells, float64 and exact.

    `hidden` (B, h, w, guides) and `log_scale` (B, h, w, C) are whole counts of 2^-10; `mean`
    (B, h, w, C) is not.
    """

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

    def log_scales(self) -> NDArray[np.float64]:
        """Natural log scales."""
        natural: NDArray[np.float64] = self.log_scale.mul(1.0 / UNIT).numpy()
        return natural


class FixedPointHyperprior:
    """Predicts mean and log scale of latents from hyper-symbols, bit for bit alike everywhere.

    So do the networks of the context model, which see the symbols coded before.
    """

    def __init__(self, network: DropoutAutoencoder) -> None:
        layers = (network.hyper_up, network.hyper_mix, network.hyper_out)
        up, mix, out = (dyadic(layer.weight, WEIGHT_BITS) for layer in layers)
        up_bias, mix_bias, out_bias = (
            dyadic(_bias_of(layer.bias, layer.out_channels), WEIGHT_BITS) for layer in layers
        )
        prior_log_scale = dyadic(network.prior_log_scale, ACTIVATION_BITS).flatten()
        self._up = ExactLayer.of(_by_phase(up), up_bias.repeat(4))
        self._mix = ExactLayer.of(mix, mix_bias)
        (mean, log_scale), (mean_bias, scale_bias) = out.chunk(2), out_bias.chunk(2)
        self._mean = ExactLayer.of(mean, mean_bias)
        self._log_scale = ExactLayer.of(log_scale, scale_bias + prior_log_scale)
        self._prior_mean = dyadic(network.prior_mean, ACTIVATION_BITS, LARGEST_ACTIVATION).flatten()
        self.context = deepcopy(network.context).double().requires_grad_(requires_grad=False)
        for weight in self.context.parameters():
            weight.copy_(dyadic(weight, WEIGHT_BITS))
        self._stages = StageCoder(self.context)

    def features(
        self, symbols: NDArray[np.integer], steps: Sequence[int], shape: tuple[int, int]
    ) -> Features:
        """What `symbols` (B, hyper, ceil(h/2), ceil(w/2)) say at each tile's regime."""
        worth = [float(1 << hyper_regime(step)) * UNIT / HYPER_GAIN for step in steps]
        counts = symbols.transpose(0, 2, 3, 1) * np.array(worth)[:, None, None, None]
        tiles, rows, columns, _ = counts.shape
        every = cells_of_class("all", rows, columns)
        phases = sums_around(torch.from_numpy(counts), every, self._up.weight)
        phases = settled(phases.add_(self._up.bias))
        seen = phases.view(tiles, rows, columns, 2, 2, -1).transpose(2, 3)
        seen = seen.reshape(tiles, 2 * rows, 2 * columns, -1)
        inside = torch.arange(shape[0])[:, None] * (2 * columns) + torch.arange(shape[1])
        hidden = sums_around(seen, inside.flatten(), self._mix.weight)
        hidden = settled(hidden.add_(self._mix.bias))
        mean = torch.add(self._prior_mean, self._mean.rounded(hidden), alpha=LATENT_GAIN / UNIT)
        said = hidden, mean, self._log_scale.rounded(hidden)
        return Features(*(part.view(tiles, *shape, -1) for part in said))

    def walk(self, features: Features, steps: Sequence[int], code: CodeRows) -> Walked:
        """Symbols, means, log scales and levels at each tile's step, (B, h, w, C).

        `code` gives the symbols of a stage's cells, (B, n, c), from their mean and level.
        """
        return self._stages.walk(
            features.hidden, features.mean, features.log_scale, TileSteps.of(steps), code
        )


def _by_phase(weight: Tensor) -> Tensor:
    """A transposed 4 x 4 kernel of stride 2, (I, O, 4, 4), as one of 3 x 3, (4 O, I, 3, 3).

    Row 2 i + p of what it makes meets row i + u of what it sees through row p + 1 - 2 u.
    """
    phases = weight.new_zeros((2, 2, weight.shape[1], weight.shape[0], 3, 3))
    taps = [(p, u, p + 1 - 2 * u) for p in (0, 1) for u in (-1, 0, 1) if 0 <= p + 1 - 2 * u < 4]
    for (p, u, y), (r, v, x) in ((one, two) for one in taps for two in taps):
        phases[p, r, :, :, u + 1, v + 1] = weight[:, :, y, x].T
    return phases.flatten(0, 2)


def scale_levels(log_scale: NDArray[np.floating], step: int) -> NDArray[np.uint8]:
    """Index of the probability table for each latent, from exact log scales."""
    position = (log_scale - log_q(step) - FIRST_LOG_SCALE) * LEVELS_PER_UNIT
    levels = np.clip(np.floor(position + 0.5), 0, LEVELS - 1)
    return np.asarray(levels, dtype=np.uint8)


def _bias_of(bias: Tensor | None, channels: int) -> Tensor:
    return torch.zeros(channels) if bias is None else bias
