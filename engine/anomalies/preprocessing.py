"""From cutout pixels to what an embedder sees: one stated stretch, with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.cutouts import Cutout
from engine.anomalies.embedders.base import Images
from engine.anomalies.embedders.morphology import area_weights
from engine.frame import Pixels

SIDE = 160
SOFTENING_SIGMA = 2.0
LEAST_PEAK_SIGMA = 10.0
PREPROCESSING = (
    f"8-bit: value / 255; else asinh((v - level) / ({SOFTENING_SIGMA:g} noise)) over the same of "
    f"the source's peak (at least {LEAST_PEAK_SIGMA:g} noise), clipped to [0, 1]; "
    f"then resized to {SIDE} x {SIDE}, linear up and area down, grey repeated to three planes"
)
PREPROCESSING_DIGEST = hashlib.sha256(PREPROCESSING.encode()).hexdigest()


def embedder_input(cutouts: Sequence[Cutout]) -> Images:
    """Cutouts as float32 (N, 3, 160, 160) in [0, 1], by the rule that `PREPROCESSING` states."""
    images = np.empty((len(cutouts), 3, SIDE, SIDE), dtype=np.float32)
    for index, cutout in enumerate(cutouts):
        shown = stretch(cutout)
        planes = shown[None] if shown.ndim == 2 else shown
        colours = planes if len(planes) == 3 else planes.mean(axis=0, keepdims=True)
        images[index] = resized(colours)
    return images


def stretch(cutout: Cutout) -> Pixels:
    """The cutout's pixels in [0, 1], same shape: /255 for 8-bit pictures, asinh for the rest.

    asinh((v - level) / (2 noise)) / asinh(max(peak, 10 noise) / (2 noise)), clipped. Lupton et al.
    (2004), PASP 116. A cutout without noise and peak becomes all zero.
    """
    if cutout.stretched:
        return np.asarray(np.clip(cutout.pixels / np.float32(255), 0, 1), dtype=np.float32)
    light = cutout.pixels.astype(np.float64) - cutout.level
    softening = SOFTENING_SIGMA * cutout.noise
    if softening <= 0:
        softening = cutout.peak / 10
    if softening <= 0:
        return np.zeros_like(cutout.pixels)
    top = max(cutout.peak, LEAST_PEAK_SIGMA * cutout.noise)
    shown = np.arcsinh(light / softening) / np.arcsinh(top / softening)
    return np.asarray(np.clip(shown, 0, 1), dtype=np.float32)


def resized(planes: Pixels) -> Pixels:
    """Planes (C, H, W) at 160 x 160: averaged over area when smaller, linear when larger."""
    rows, columns = (resize_weights(length, SIDE) for length in planes.shape[1:])
    return np.asarray(np.clip(rows @ planes @ columns.T, 0, 1), dtype=np.float32)


def resize_weights(length: int, side: int) -> NDArray[np.float64]:
    """Weights float64 (side, length) of one axis; rows sum to 1."""
    if length >= side:
        return area_weights(length, side)
    centres = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
    return np.asarray(np.maximum(1 - np.abs(centres[:, None] - np.arange(length)[None]), 0.0))
