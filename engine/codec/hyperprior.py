"""FixedPointHyperprior: the hyper-decoder, computed so that every machine gets the same bits.

Weights are rounded to multiples of 2^-14 and activations to 2^-10, in float64. Every product and
sum is then a dyadic rational of fewer than 53 bits, exact in any order: the scale index, which
chooses the probability table, cannot differ between encoder and decoder. (The aim of Balle,
Johnston and Minnen, 2019, "Integer networks for data compression with latent-variable models".)
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.codec.network import HYPER_GAIN, LATENT_GAIN, LOG_SCALE_RANGE, DropoutAutoencoder
from engine.codec.steps import hyper_regime, log_q
from engine.codec.tables import FIRST_LOG_SCALE, LEVELS, LEVELS_PER_UNIT

WEIGHT_BITS = 14
ACTIVATION_BITS = 10
LARGEST_ACTIVATION = 1024.0
LARGEST_WEIGHT = 16.0

Prediction = tuple[NDArray[np.float64], NDArray[np.float64]]


class FixedPointHyperprior:
    """Predicts mean and log scale of latents from hyper-symbols, bit for bit alike everywhere."""

    def __init__(self, network: DropoutAutoencoder) -> None:
        layers = (network.hyper_up, network.hyper_mix, network.hyper_out)
        self._weights = [_dyadic(layer.weight, WEIGHT_BITS) for layer in layers]
        self._biases = [
            _dyadic(_bias_of(layer.bias, layer.out_channels), WEIGHT_BITS) for layer in layers
        ]
        self._prior_mean = _dyadic(network.prior_mean, ACTIVATION_BITS, limit=LARGEST_ACTIVATION)
        self._prior_log_scale = _dyadic(network.prior_log_scale, ACTIVATION_BITS)

    def predict(
        self, symbols: NDArray[np.integer], step: int, shape: tuple[int, int]
    ) -> Prediction:
        """Mean and log scale, both (C, h, w) with `shape` = (h, w).

        `symbols` (hyper, ceil(h/2), ceil(w/2)) are integers coded at quantisation step `step`.
        """
        coarseness = float(1 << hyper_regime(step)) / HYPER_GAIN
        hidden = torch.from_numpy(symbols.astype(np.float64))[None] * coarseness
        up, mix, out = self._weights
        hidden = _settled(functional.conv_transpose2d(hidden, up, self._biases[0], 2, 1))
        hidden = _settled(functional.conv2d(hidden, mix, self._biases[1], 1, 1))
        predicted = _rounded(functional.conv2d(hidden, out, self._biases[2]), ACTIVATION_BITS)
        mean, log_scale = predicted[:, :, : shape[0], : shape[1]].chunk(2, 1)
        mean = mean * LATENT_GAIN + self._prior_mean
        log_scale = (log_scale + self._prior_log_scale).clamp(*LOG_SCALE_RANGE)
        return mean[0].numpy(), log_scale[0].numpy()


def scale_levels(log_scale: NDArray[np.float64], step: int) -> NDArray[np.uint8]:
    """Index of the probability table for each latent, from exact log scales."""
    position = (log_scale - log_q(step) - FIRST_LOG_SCALE) * LEVELS_PER_UNIT
    return np.clip(np.floor(position + 0.5), 0, LEVELS - 1).astype(np.uint8)


def _settled(hidden: Tensor) -> Tensor:
    return _rounded(hidden, ACTIVATION_BITS).clamp(0.0, LARGEST_ACTIVATION)


def _rounded(values: Tensor, bits: int) -> Tensor:
    return torch.floor(values * 2.0**bits + 0.5) * 2.0**-bits


def _dyadic(values: Tensor, bits: int, limit: float = LARGEST_WEIGHT) -> Tensor:
    return _rounded(values.detach().double().clamp(-limit, limit), bits)


def _bias_of(bias: Tensor | None, channels: int) -> Tensor:
    return torch.zeros(channels) if bias is None else bias
