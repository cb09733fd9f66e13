"""Probability and uncertainty maps of a frame of any size, tile by tile and without seams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.cosmicrays.unet import UNet2Sigmoid
from engine.frame import Pixels
from engine.metrics.calibration import binary_entropy

TILE_PX = 256
OVERLAP_PX = 16
LN_2 = np.float32(np.log(2))

Window = tuple[slice, slice]


@dataclass(frozen=True)
class EvidenceMaps:
    """The mean probability and its uncertainty in nats; all float32 (H, W).

    `predictive_entropy` = H(mean p), `expected_entropy` = mean H(p), `mutual_information` is their
    difference: what the samples disagree about (Houlsby et al. 2011; Depeweg et al. 2018).
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
) -> EvidenceMaps:
    """Run every network, one a sample, over a scaled frame.

    `scaled` float32 (H, W), at least 1x1, finite. Tiles start at even pixels and overlap by more
    than the networks' reach (9 px), so that the maps do not depend on `tile_px`; an odd side is
    padded at the bottom or right, which keeps the pooling grid where it is.
    Raises ValueError without networks or on an odd tile.
    """
    if not nets or tile_px < 2 or tile_px % 2:
        raise ValueError("expected at least one network and an even tile of at least 2 pixels")
    ready = [net.channels_last().eval() for net in nets]
    height, width = scaled.shape
    padded = np.pad(scaled, ((0, height % 2), (0, width % 2)), mode="edge")
    mean, doubt = np.zeros_like(padded), np.zeros_like(padded)
    for core, around, inner in _tiles(padded.shape, tile_px):
        mean[core], doubt[core] = _tile_moments(ready, padded[around], inner, temperature)
    return _maps(mean[:height, :width], doubt[:height, :width])


def _maps(mean: Pixels, expected_entropy: Pixels) -> EvidenceMaps:
    """Join the two moments; rounding must not make a negative information or exceed ln 2."""
    predictive = np.minimum(binary_entropy(mean), LN_2)
    expected = np.minimum(expected_entropy, predictive)
    return EvidenceMaps(mean, predictive, expected, predictive - expected)


def _tile_moments(
    nets: Sequence[UNet2Sigmoid], tile: Pixels, inner: Window, temperature: float
) -> tuple[Pixels, Pixels]:
    """Mean over the networks of the probability and of its entropy, inside the tile's core."""
    x = torch.from_numpy(np.ascontiguousarray(tile))[None, None]
    x = x.to(memory_format=torch.channels_last)
    shape = tile[inner].shape
    mean, doubt = np.zeros(shape), np.zeros(shape)
    for net in nets:
        with torch.inference_mode():
            logits = net.logits(x)[0, 0] / temperature
        probability = torch.sigmoid(logits).numpy()[inner]
        mean += probability
        doubt += binary_entropy(probability)
    return (mean / len(nets)).astype(np.float32), (doubt / len(nets)).astype(np.float32)


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
