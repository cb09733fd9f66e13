"""Cleaning: put what the neighbourhood suggests where a cosmic ray or a bad pixel was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.frame import Mask, Pixels

RADII = (1, 2, 3, 5, 8)
ENOUGH_NEIGHBOURS = 3
CHUNK = 20_000


def inpaint(pixels: Pixels, replace: Mask, unusable: Mask | None = None) -> Pixels:
    """Replace pixels by the median of the good ones around them.

    `pixels` float32 (H, W); `replace` bool (H, W), the pixels to fill; `unusable` bool (H, W), more
    pixels that no value may be taken from. The window grows from 3x3 to 17x17 until it holds three
    good pixels; farther from any, the nearest good pixel is copied. The median restored the flux
    under hits better than linear interpolation on every hold-out (`skysieve bench cosmicrays`).
    Raises ValueError when no pixel is good.
    """
    good = ~replace if unusable is None else ~(replace | unusable)
    if not good.any():
        raise ValueError("no good pixel to fill from: the mask covers the whole frame")
    filled = pixels.copy()
    rows, columns = np.nonzero(replace)
    for radius in RADII:
        value = _window_medians(pixels, good, rows, columns, radius)
        found = np.isfinite(value)
        filled[rows[found], columns[found]] = value[found]
        rows, columns = rows[~found], columns[~found]
        if not rows.size:
            return filled
    nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
    filled[rows, columns] = pixels[nearest[0][rows, columns], nearest[1][rows, columns]]
    return filled


def _window_medians(
    pixels: Pixels,
    good: Mask,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    radius: int,
) -> NDArray[np.float32]:
    """Median of the good pixels within `radius` of each place, NaN where they are too few."""
    usable = np.pad(np.where(good, pixels, np.float32(np.nan)), radius, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(usable, (2 * radius + 1, 2 * radius + 1))
    medians = np.full(rows.size, np.nan, dtype=np.float32)
    for start in range(0, rows.size, CHUNK):
        part = slice(start, start + CHUNK)
        around = windows[rows[part], columns[part]].reshape(-1, (2 * radius + 1) ** 2)
        enough = np.isfinite(around).sum(axis=1) >= ENOUGH_NEIGHBOURS
        medians[part][enough] = np.nanmedian(around[enough], axis=1)
    return medians
