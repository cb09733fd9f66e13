"""FixedPointHyperprior: the hyper-decoder, computed so that every machine gets the same bits.

Weights are rounded to multiples of 2^-14 and activations to 2^-10, in float64. Every product and
sum is then a dyadic rational of fewer than 53 bits, exact in any order: the scale index, which
chooses the probability table, cannot differ between encoder and decoder. (The aim of Balle,
Johnston and Minnen, 2019, "Integer networks for data compression with latent-variable models".)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from engine.codec.steps import hyper_regime, log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT

WEIGHT_BITS = 14
ACTIVATION_BITS = 10
LARGEST_WEIGHT = 16.0

Symbols = NDArray[np.integer]
Prediction = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and log scale."""


@dataclass(frozen=True)
class Features:
    """What hyper-latents say of B tiles of (h, w) cells: hidden features (B, guides, h, w), and
    the mean and log scale that they predict, (B, C, h, w), all dyadic."""

    hidden: Tensor
    mean: Tensor
    log_scale: Tensor


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
        self._prior_mean = _dyadic(network.prior_mean, ACTIVATION_BITS, limit=LARGEST_ACTIVATION)
        self._prior_log_scale = _dyadic(network.prior_log_scale, ACTIVATION_BITS)
        self.context = deepcopy(network.context).double().requires_grad_(requires_grad=False)
        for weight in self.context.parameters():
            weight.copy_(_dyadic(weight, WEIGHT_BITS))

    def features(
        self, symbols: NDArray[np.integer], steps: Sequence[int], shape: tuple[int, int]
    ) -> Features:
        """What `symbols` (B, hyper, ceil(h/2), ceil(w/2)) say at each tile's regime."""
        coarseness = [float(1 << hyper_regime(step)) / HYPER_GAIN for step in steps]
        hidden = torch.from_numpy(symbols.astype(np.float64)) * _by_tile(coarseness)
        up, mix, out = self._weights
        hidden = _settled(functional.conv_transpose2d(hidden, up, self._biases[0], 2, 1))
        hidden = _settled(functional.conv2d(hidden, mix, self._biases[1], 1, 1))
        hidden = hidden[:, :, : shape[0], : shape[1]]
        predicted = _to_activation(functional.conv2d(hidden, out, self._biases[2]))
        mean, log_scale = predicted.chunk(2, 1)
        mean = mean * LATENT_GAIN + self._prior_mean
        return Features(hidden, mean, log_scale + self._prior_log_scale)

    def walk(
        self, features: Features, steps: Sequence[int], code: Callable[[Stage, Prediction], Symbols]
    ) -> tuple[NDArray[np.int32], Prediction]:
        """Symbols (B, C, h, w) with mean and log scale of each, at each tile's step.

        `code` gives the symbols of a stage's channels, (B, c, h, w), from their mean and log scale.
        """
        hidden = features.hidden
        fineness = _by_tile([log_q(step) - MIDDLE_LOG_Q for step in steps])
        guide = torch.cat([hidden, fineness.expand(-1, 1, *hidden.shape[2:])], 1)

        def bounded(stage: Stage, mean: Tensor, log_scale: Tensor) -> Tensor:
            predicted = mean.numpy(), log_scale.clamp(*LOG_SCALE_RANGE).numpy()
            return torch.from_numpy(code(stage, predicted).astype(np.float64))

        symbols, mean, log_scale = self.context.walk(
            (features.mean, features.log_scale),
            guide,
            _by_tile([dyadic_q(step) for step in steps]),
            bounded,
            _to_activation,
        )
        predicted = mean.numpy(), log_scale.clamp(*LOG_SCALE_RANGE).numpy()
        return symbols.numpy().astype(np.int32), predicted


@cache
def dyadic_q(step: int) -> float:
    """The quantisation step q as a multiple of 2^-10, the same on every machine."""
    exact = Context(prec=28).exp(Decimal(log_q(step)))
    return int(exact * (1 << ACTIVATION_BITS) + Decimal("0.5")) / (1 << ACTIVATION_BITS)


def scale_levels(log_scale: NDArray[np.floating], step: int) -> NDArray[np.uint8]:
    """Index of the probability table for each latent, from exact log scales."""
    position = (log_scale - log_q(step) - FIRST_LOG_SCALE) * LEVELS_PER_UNIT
    levels = np.clip(np.floor(position + 0.5), 0, LEVELS - 1)
    return np.asarray(levels, dtype=np.uint8)


def _by_tile(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None]


def _settled(hidden: Tensor) -> Tensor:
    return _to_activation(hidden).clamp(0.0, LARGEST_ACTIVATION)


def _to_activation(values: Tensor) -> Tensor:
    return _rounded(values, ACTIVATION_BITS)


def _rounded(values: Tensor, bits: int) -> Tensor:
    return torch.floor(values * 2.0**bits + 0.5) * 2.0**-bits


def _dyadic(values: Tensor, bits: int, limit: float = LARGEST_WEIGHT) -> Tensor:
    return _rounded(values.detach().double().clamp(-limit, limit), bits)


def _bias_of(bias: Tensor | None, channels: int) -> Tensor:
    return torch.zeros(channels) if bias is None else bias
