"""DropoutAutoencoder: the codec's network, and nothing about bytes.

A lapped linear transform, initialised to the 16 x 16 DCT, carries the image; nonlinear residual
branches start at zero and learn what the transform misses. A mean-scale hyperprior (Minnen, Balle
and Toderici, 2018, "Joint autoregressive and hierarchical priors for learned image compression")
predicts mean and scale of every latent. The quantisation step q is an input, so that one set of
weights serves all rates. Dropout sits in the decoder alone: the encoder is deterministic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.codec.context import MIDDLE_LOG_Q, ContextModel, Stage
from engine.codec.convolving import convolved, from_phases, phases_of

STRIDE = 16
HYPER_STRIDE = 2 * STRIDE
OVERLAP = STRIDE // 2
LATENT_GAIN = 20.0
HYPER_GAIN = 4.0
LOG_SCALE_RANGE = (-6.0, 7.0)
SMALLEST_SCALE = 0.08
COARSER_HYPER_AT_LOG_Q = (math.log(12.0), math.log(48.0))
TRAINED_Q = (2.0, 128.0)
TRAINED_MOVE_COST = 10.0
"""Bits that one squared step of error is worth where training chooses symbols."""


@dataclass(frozen=True)
class Widths:
    """Channel counts: latents, hyper-latents, and the hidden layers from fine to coarse.

    `context` says whether latents are coded in stages that see the earlier ones.
    """

    latent: int = 256
    hyper: int = 12
    fine: int = 48
    middle: int = 96
    coarse: int = 112
    context: bool = True


@dataclass(frozen=True)
class TrainingPass:
    """What the loss needs: reconstruction (B, 1, H, W) and the bits of each image, shape (B,)."""

    reconstruction: Tensor
    latent_bits: Tensor
    hyper_bits: Tensor


class DropoutAutoencoder(nn.Module):
    """Convolutional autoencoder over pixels in [-128, 127], sides multiples of 32.

    `widths` sets its size, `dropout` the share of decoder activations dropped while sampling.
    """

    def __init__(self, widths: Widths | None = None, dropout: float = 0.05) -> None:
        super().__init__()
        self.widths = w = widths or Widths()
        self.dropout = dropout
        basis, frequency = _dct_by_frequency(w.latent)
        folded = torch.from_numpy(_fold_lapped(basis))
        self.analysis_basis = nn.Parameter(folded.clone())
        self.synthesis_basis = nn.Parameter(folded.clone())
        prior = np.log(350.0 / (1.0 + frequency) ** 1.3).astype(np.float32)
        self.prior_log_scale = nn.Parameter(torch.from_numpy(prior).view(1, -1, 1, 1))
        self.prior_mean = nn.Parameter(torch.zeros(1, w.latent, 1, 1))

        self.encode_fine = nn.Conv2d(16, w.fine, 3, 1, 1)
        self.encode_middle = nn.Conv2d(w.fine, w.middle, 5, 2, 2)
        self.encode_coarse = _silent(nn.Conv2d(w.middle, w.latent, 5, 2, 2))

        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(w.latent, w.middle, 3, 1, 1), nn.ReLU(), nn.Conv2d(w.middle, w.hyper, 5, 2, 2)
        )
        self.hyper_up = nn.ConvTranspose2d(w.hyper, w.middle, 4, 2, 1)
        self.hyper_mix = nn.Conv2d(w.middle, w.middle, 3, 1, 1)
        self.hyper_out = _silent(nn.Conv2d(w.middle, 2 * w.latent, 1))
        self.context = ContextModel(w.latent, w.middle, staged=w.context)
        regimes = len(COARSER_HYPER_AT_LOG_Q) + 1
        self.hyper_scale = nn.Parameter(torch.full((regimes, w.hyper), 1.5))

        self.decode_coarse = nn.Conv2d(w.latent + 1, w.coarse, 3, 1, 1)
        self.decode_middle = nn.Conv2d(w.coarse, w.middle * 4, 3, 1, 1)
        self.decode_fine = nn.Conv2d(w.middle, w.fine * 4, 3, 1, 1)
        self.merge = nn.Conv2d(w.fine + 17, w.middle, 3, 1, 1)
        self.refine = nn.Conv2d(w.middle, w.middle, 3, 1, 1)
        self.residual = _silent(nn.Conv2d(w.middle, 16, 3, 1, 1))

    def analyse(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 1, H, W) into latents (B, C, H/16, W/16)."""
        fine = phases_of(pixels / 64.0, 4)
        hidden = functional.gelu(convolved(self.encode_fine, fine))
        hidden = functional.gelu(convolved(self.encode_middle, hidden))
        learnt: Tensor = convolved(self.encode_coarse, hidden).float()
        return self._lapped(pixels) + learnt * LATENT_GAIN

    def hyper_latent(self, latents: Tensor) -> Tensor:
        """Summarise latents (B, C, h, w) as the hyper-latent (B, hyper, ceil(h/2), ceil(w/2))."""
        near, _, coarse = self.hyper_analysis
        hidden = functional.relu(convolved(cast(nn.Conv2d, near), latents / LATENT_GAIN))
        summary: Tensor = coarse(hidden)
        return summary * HYPER_GAIN

    def predict(self, hyper: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Features, and from them mean and natural log of the scale of every latent.

        As training sees them: the coder uses the bit-exact counterpart in
        `engine.codec.hyperprior`.
        """
        hidden = functional.relu(self.hyper_up(hyper / HYPER_GAIN))
        hidden = functional.relu(self.hyper_mix(hidden))
        mean, log_scale = self.hyper_out(hidden).chunk(2, 1)
        return hidden, (mean * LATENT_GAIN + self.prior_mean, log_scale + self.prior_log_scale)

    def synthesise(
        self, latents: Tensor, log_q: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Turn latents (B, C, h, w) and ln q (B, 1, h, w) into pixels (B, 1, 16 h, 16 w).

        Dropout acts in training mode, and whenever a `generator` is passed to draw it from.
        """
        linear = self._lapped_back(latents)
        step = log_q.clamp(*(math.log(q) for q in TRAINED_Q)) - MIDDLE_LOG_Q
        coarse = torch.cat([latents / 40.0, step], 1)
        hidden = functional.gelu(convolved(self.decode_coarse, coarse))
        hidden = self._drop(hidden, generator)
        hidden = from_phases(convolved(self.decode_middle, hidden), 2)
        hidden = self._drop(functional.gelu(hidden), generator)
        hidden = from_phases(convolved(self.decode_fine, hidden), 2)
        hidden = self._drop(functional.gelu(hidden), generator)
        fine_step = step.repeat_interleave(4, 2).repeat_interleave(4, 3)
        seen = phases_of(linear / 64.0, 4)
        hidden = functional.gelu(convolved(self.merge, torch.cat([hidden, seen, fine_step], 1)))
        hidden = self._drop(hidden, generator)
        hidden = hidden + functional.gelu(convolved(self.refine, hidden))
        residual = convolved(self.residual, hidden)
        return linear + from_phases(residual, 4).float() * 16.0

    def forward(self, pixels: Tensor, log_q: Tensor) -> TrainingPass:
        """Code and decode with differentiable stand-ins for quantisation.

        `pixels` (B, 1, H, W) in [-128, 127]; `log_q` (B,). Rates come from additive uniform noise,
        the reconstruction from rounding with a straight-through gradient.
        """
        log_q = log_q.view(-1, 1, 1, 1)
        q = torch.exp(log_q)
        latents = self.analyse(pixels)
        with torch.autocast("cpu", enabled=False):
            regime = sum((log_q >= edge).long() for edge in COARSER_HYPER_AT_LOG_Q)
            coarseness = torch.exp2(torch.as_tensor(regime, dtype=torch.float32))
            hyper = self.hyper_latent(latents) / coarseness
            hyper_scale = self.hyper_scales()[torch.as_tensor(regime).view(-1)][:, :, None, None]
            hyper_bits = gaussian_bits(_noisy(hyper), hyper_scale / coarseness)
            hidden, predicted = self.predict(_round_through(hyper) * coarseness)
            step = (log_q - MIDDLE_LOG_Q).expand(-1, 1, *hidden.shape[2:])

            def code(stage: Stage, mean: Tensor, log_scale: Tensor) -> Tensor:
                values = (latents[:, stage.first : stage.last] - mean) / q
                return _quantised_through(values, _scale(log_scale, q))

            symbols, mean, log_scale = self.context.walk(
                predicted, torch.cat([hidden, step], 1), q, code
            )
            noisy = _noisy((latents - mean) / q)
            latent_bits = gaussian_bits(noisy, _scale(log_scale, q))
            decoded = symbols * q + mean
        reconstruction = self.synthesise(decoded, log_q.expand(-1, 1, *decoded.shape[2:]))
        return TrainingPass(reconstruction, latent_bits.sum((1, 2, 3)), hyper_bits.sum((1, 2, 3)))

    def hyper_scales(self) -> Tensor:
        """Standard deviation of the hyper-latent, shape (regimes, hyper), in units of z."""
        return functional.softplus(self.hyper_scale) + 0.1

    def _lapped(self, pixels: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            wide = functional.pad(pixels, (OVERLAP,) * 4, mode="replicate")
            blocks = phases_of(wide, STRIDE)
            return functional.conv2d(blocks, self.analysis_basis)

    def _lapped_back(self, latents: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            blocks = functional.conv_transpose2d(latents, self.synthesis_basis)
            wide = from_phases(blocks, STRIDE)
            return wide[:, :, OVERLAP:-OVERLAP, OVERLAP:-OVERLAP]

    def _drop(self, hidden: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return functional.dropout(hidden, self.dropout, self.training)
        kept = torch.rand(hidden.shape, generator=generator) >= self.dropout
        return hidden * kept / (1.0 - self.dropout)


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Bits to code `value` rounded to integers under a centred Gaussian of deviation `scale`."""
    distance = value.abs()
    upper = torch.erfc(-(0.5 - distance) / scale * math.sqrt(0.5))
    lower = torch.erfc((0.5 + distance) / scale * math.sqrt(0.5))
    return -torch.log2((0.5 * (upper - lower)).clamp_min(1e-9))


def _round_through(value: Tensor) -> Tensor:
    return value + (torch.round(value) - value).detach()


def _quantised_through(value: Tensor, scale: Tensor) -> Tensor:
    """Rate-distortion optimised symbols, as `SymbolTables.quantise`, with a plain gradient."""
    with torch.no_grad():
        nearest = torch.round(value)
        smaller = nearest - torch.sign(nearest)
        saved = gaussian_bits(nearest, scale) - gaussian_bits(smaller, scale)
        added = (value - smaller).square() - (value - nearest).square()
        symbols = torch.where(saved > TRAINED_MOVE_COST * added, smaller, nearest)
    return value + (symbols - value).detach()


def _scale(log_scale: Tensor, q: Tensor) -> Tensor:
    return (torch.exp(log_scale.clamp(*LOG_SCALE_RANGE)) / q).clamp_min(SMALLEST_SCALE)


def _noisy(value: Tensor) -> Tensor:
    return value + torch.rand_like(value) - 0.5


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that says nothing until it has learnt something."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _dct_by_frequency(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `count` lowest orthonormal 16 x 16 DCT-II functions and their radial frequencies."""
    position = np.arange(STRIDE)
    waves = np.cos(np.pi * (position[None] + 0.5) * position[:, None] / STRIDE)
    waves *= np.sqrt(2.0 / STRIDE)
    waves[0] /= np.sqrt(2.0)
    radius = np.hypot(position[:, None], position[None]).ravel()
    order = np.argsort(radius, kind="stable")[:count]
    rows, columns = np.divmod(order, STRIDE)
    return waves[rows][:, :, None] * waves[columns][:, None, :], radius[order]


def _fold_lapped(basis: NDArray[np.float64]) -> NDArray[np.float32]:
    """Put (C, 16, 16) functions in the centre of 32 x 32 windows, as 2 x 2 kernels over blocks."""
    count, span = len(basis), 2 * STRIDE
    window = np.zeros((count, span, span), np.float32)
    window[:, OVERLAP:-OVERLAP, OVERLAP:-OVERLAP] = basis
    blocks = window.reshape(count, 2, STRIDE, 2, STRIDE).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(blocks.reshape(count, STRIDE * STRIDE, 2, 2))
