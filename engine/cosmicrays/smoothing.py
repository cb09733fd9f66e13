"""Interpolation across a mask: a plane fitted to the good pixels around, the near ones first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.cosmicrays.neighbourhoods import Places, neighbourhoods, offsets
from engine.frame import Mask, Pixels

RADIUS_PX = 4
SIGMA_PX = 0.8
SLOPE_RIDGE = 0.3
LEAST_WEIGHT = 0.05


def plane_values(
    pixels: Pixels,
    good: Mask,
    places: Places,
    *,
    sigma_px: float = SIGMA_PX,
    ridge: float = SLOPE_RIDGE,
) -> NDArray[np.float32]:
    """Value at each place of the plane that fits the good pixels around it best, NaN without any.

    Normalised convolution with first-order basis (Knutsson & Westin 1993): weights
    exp(-d^2 / (2 sigma_px^2)) on good pixels within 4 px, and `ridge` on the squared slopes, which
    keeps a fit from one side alone from running away. Returns float32 (n,), NaN where the weights
    sum to less than 0.05.
    """
    down, across = (offset.ravel().astype(np.float32) for offset in offsets(RADIUS_PX))
    kernel = np.exp(-(down**2 + across**2) / (2 * sigma_px**2)).astype(np.float32)
    basis = np.stack([np.ones_like(down), down, across], axis=1)
    products = (basis[:, :, None] * basis[:, None, :]).reshape(-1, 9)
    values = np.full(places[0].size, np.nan, dtype=np.float32)
    for around in neighbourhoods(pixels, good, places, RADIUS_PX):
        weight = around.good * kernel
        total = weight.sum(axis=1)
        enough = total > LEAST_WEIGHT
        weight = weight[enough]
        level = (weight * around.values[enough]).sum(axis=1) / total[enough]
        offset_values = np.where(around.good[enough], around.values[enough] - level[:, None], 0)
        moments = (weight @ products).reshape(-1, 3, 3).astype(np.float64)
        moments += np.diag([0.0, ridge, ridge])
        right = ((weight * offset_values) @ basis).astype(np.float64)
        solved = np.linalg.solve(moments, right[:, :, None])[:, 0, 0]
        values[np.arange(values.size)[around.part][enough]] = level + solved
    return values
