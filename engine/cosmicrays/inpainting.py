"""Cleaning: put what the neighbourhood suggests where a cosmic ray or a bad pixel was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.cosmicrays.choices import FILLS, FillName
from engine.cosmicrays.neighbourhoods import Places, neighbourhoods
from engine.cosmicrays.smoothing import plane_values
from engine.frame import Mask, Pixels

RADII = (1, 2, 3, 5, 8)
ENOUGH_NEIGHBOURS = 3


def inpaint(
    pixels: Pixels, replace: Mask, unusable: Mask | None = None, *, fill: FillName = "median"
) -> Pixels:
    """Replace pixels by what the good ones around them suggest.

    `pixels` float32 (H, W); `replace` bool (H, W), the pixels to fill; `unusable` bool (H, W), more
    pixels that no value may be taken from. `fill` is "median" (of a window that grows from 3x3 to
    17x17 until it holds three good pixels), "smooth" (a plane fitted with Gaussian weights) or
    "learned" (a small network); where the last two have too little to go by, and farther from any
    good pixel than the windows reach, the median and then the nearest good pixel stand in. All are
    compared by `skysieve bench cosmicrays`.
    Raises ValueError when no pixel is good, or on another fill.
    """
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {FILLS}, got {fill!r}")
    good = ~replace if unusable is None else ~(replace | unusable)
    if not good.any():
        raise ValueError("no good pixel to fill from: the mask covers the whole frame")
    filled = pixels.copy()
    rows, columns = np.nonzero(replace)
    places: Places = rows, columns
    if fill != "median":
        places = _put(filled, places, _suggested(fill, pixels, good, places))
    for radius in RADII:
        if not places[0].size:
            return filled
        places = _put(filled, places, _window_medians(pixels, good, places, radius))
    if places[0].size:
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        filled[places] = pixels[nearest[0][places], nearest[1][places]]
    return filled


def _suggested(fill: FillName, pixels: Pixels, good: Mask, places: Places) -> NDArray[np.float32]:
    if fill == "smooth":
        return plane_values(pixels, good, places)
    from engine.cosmicrays.learned_fill import learned_values, shipped_fill_net

    return learned_values(shipped_fill_net(), pixels, good, places)


def _put(filled: Pixels, places: Places, values: NDArray[np.float32]) -> Places:
    """Write the values that are finite, and return the places that still have none."""
    rows, columns = places
    found = np.isfinite(values)
    filled[rows[found], columns[found]] = values[found]
    return rows[~found], columns[~found]


def _window_medians(pixels: Pixels, good: Mask, places: Places, radius: int) -> NDArray[np.float32]:
    """Median of the good pixels within `radius` of each place, NaN where they are too few."""
    medians = np.full(places[0].size, np.nan, dtype=np.float32)
    for around in neighbourhoods(pixels, good, places, radius):
        count = around.good.sum(axis=1)
        ordered = np.sort(np.where(around.good, around.values, np.float32(np.inf)), axis=1)
        enough = np.nonzero(count >= ENOUGH_NEIGHBOURS)[0]
        lower = ordered[enough, (count[enough] - 1) // 2]
        upper = ordered[enough, count[enough] // 2]
        medians[np.arange(medians.size)[around.part][enough]] = lower + (upper - lower) / 2
    return medians
