"""Probability and uncertainty maps of a frame of any size, tile by tile and without seams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.cosmicrays.choices import Precision
from engine.cosmicrays.lean import LeanUNet
from engine.cosmicrays.precision import check_precision
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.frame import Pixels

TILE_PX = 256
# A core that starts and ends at even pixels sees no farther: 2 px for the last two convolutions,
# 2 coarse cells (4 px) for the deep ones, 2 px for the first two.
OVERLAP_PX = 8
LN_2 = float(np.float32(np.log(2)))

Window = tuple[slice, slice]


@dataclass(frozen=True)
class EvidenceMaps:
    """The mean probability and its uncertainty in nats; all float32 (H, W).

    `predictive_entropy` = H(mean p), `expected_entropy` = mean H(p), `mutual_information` is their
    difference: what the passes disagree about (Houlsby et al. 2011; Depeweg et al. 2018). Passes
    that are draws from a posterior make it the information about the weights; passes that are
    views or ensemble members make it their disagreement and no more.
    """

    probability: Pixels
    predictive_entropy: Pixels
    expected_entropy: Pixels
    mutual_information: Pixels


def evidence_maps(
    nets: Sequence[UNet2Sigmoid],
    scaled: NDArray[np.float32],
    *,
    temperature: float = 1.0,
    tile_px: int = TILE_PX,
    precision: Precision = "float32",
    device: str = "cpu",
) -> EvidenceMaps:
    """Run every network, one a pass, over a scaled frame.

    `scaled` float32 (H, W), at least 1x1, finite. Tiles start at even pixels and overlap by the
    networks' reach (8 px from an even pixel), so that the maps do not depend on `tile_px`; an odd
    side is padded at the bottom or right, which keeps the pooling grid where it is. `precision` is
    that of the convolutions; probabilities and entropies are float32 always.
    Raises ValueError without networks or on an odd tile, ModelError where the processor lacks the
    precision.
    """
    if not nets or tile_px < 2 or tile_px % 2:
        raise ValueError("expected at least one network and an even tile of at least 2 pixels")
    check_precision(precision, device)
    ready = [LeanUNet(net.channels_last()).eval().to(device) for net in nets]
    height, width = scaled.shape
    if height % 2 or width % 2:
        scaled = np.pad(scaled, ((0, height % 2), (0, width % 2)), mode="edge")
    planes = [np.empty(scaled.shape, dtype=np.float32) for _ in range(3)]
    passes = _Passes(ready, temperature, precision, device)
    with torch.inference_mode():
        for core, around, inner in _tiles(scaled.shape, tile_px):
            for plane, values in zip(planes, passes.moments(scaled[around], inner), strict=True):
                plane[core] = values
    mean, predictive, expected = (plane[:height, :width] for plane in planes)
    return EvidenceMaps(mean, predictive, expected, predictive - expected)


@dataclass(frozen=True)
class _Passes:
    """The networks of all passes, on the device and in the precision that they run in."""

    nets: Sequence[LeanUNet]
    temperature: float
    precision: Precision
    device: str

    def moments(self, tile: Pixels, inner: Window) -> tuple[NDArray[Any], ...]:
        """Mean probability, its entropy and the mean entropy, inside the tile's core."""
        x = torch.from_numpy(np.ascontiguousarray(tile))[None, None].to(self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        logits = [self._logits(net, x)[inner] for net in self.nets]
        mean = torch.stack([torch.sigmoid(one) for one in logits]).mean(0).clamp_(0, 1)
        expected = torch.stack([_entropy_of_logit(one) for one in logits]).mean(0)
        if len(logits) == 1:
            return mean.cpu().numpy(), expected.cpu().numpy(), expected.cpu().numpy()
        predictive = (torch.special.entr(mean) + torch.special.entr(1 - mean)).clamp_max_(LN_2)
        expected = torch.minimum(expected, predictive)  # rounding makes no negative information
        return mean.cpu().numpy(), predictive.cpu().numpy(), expected.cpu().numpy()

    def _logits(self, net: LeanUNet, x: Tensor) -> Tensor:
        lower = self.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16, enabled=lower):
            logits = net.logits(x)[0, 0]
        return logits.float() / self.temperature


def _entropy_of_logit(logits: Tensor) -> Tensor:
    """H(sigmoid(l)) = softplus(-|l|) + |l| sigmoid(-|l|), exact where the probability rounds."""
    away = logits.abs()
    return (functional.softplus(-away) + away * torch.sigmoid(-away)).clamp_max_(LN_2)


def _tiles(shape: tuple[int, ...], tile_px: int) -> Iterator[tuple[Window, Window, Window]]:
    """Yield the core of each tile, the window around it, and the core within that window."""
    for rows in _spans(shape[0], tile_px):
        for columns in _spans(shape[1], tile_px):
            core, around, inner = zip(rows, columns, strict=True)
            yield (core[0], core[1]), (around[0], around[1]), (inner[0], inner[1])


def _spans(length: int, tile_px: int) -> Iterator[tuple[slice, slice, slice]]:
    for start in range(0, length, tile_px):
        stop = min(start + tile_px, length)
        first, last = max(0, start - OVERLAP_PX), min(length, stop + OVERLAP_PX)
        yield slice(start, stop), slice(first, last), slice(start - first, stop - first)
