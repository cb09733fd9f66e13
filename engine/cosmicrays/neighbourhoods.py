"""Windows around single pixels of a frame, in chunks that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.frame import Mask, Pixels

CHUNK_VALUES = 4_000_000

Places = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Neighbourhoods:
    """Square windows around n pixels: `values` float32 (n, side^2), 0 where not `good`, bool."""

    part: slice
    values: NDArray[np.float32]
    good: NDArray[np.bool_]


def neighbourhoods(
    pixels: Pixels, good: Mask, places: Places, radius: int
) -> Iterator[Neighbourhoods]:
    """Yield the windows of `radius` around (rows, columns); beyond the frame nothing is good."""
    rows, columns = places
    height, width = pixels.shape
    down, across = (offset.ravel() for offset in offsets(radius))
    step = max(1, CHUNK_VALUES // down.size)
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        y, x = rows[part, None] + down, columns[part, None] + across
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        flat = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
        usable = inside & good.ravel()[flat]
        yield Neighbourhoods(part, np.where(usable, pixels.ravel()[flat], np.float32(0)), usable)


def offsets(radius: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a window relative to its middle, each (2 radius + 1, 2 radius + 1)."""
    down, across = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return down, across
