"""Masks of pixels: their connected groups, and what people said about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.frame import Mask

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """The 8-connected groups of a mask, numbered from 0 in reading order of their first pixel.

    `pixels` int64 (N,) are the flat indices of the mask's pixels in order, `number` int64 (N,) the
    group of each. Only masked pixels are held, so that a large frame costs what its hits do.
    """

    shape: tuple[int, int]
    pixels: Indices
    number: Indices
    count: int

    def members(self, group: int) -> Indices:
        """Flat indices of the pixels of one group."""
        its: Indices = self.pixels[self.number == group]
        return its

    def at(self, y: int, x: int) -> int | None:
        """The group of the pixel in row `y`, column `x`; None where it is not masked."""
        flat = y * self.shape[1] + x
        place = int(np.searchsorted(self.pixels, flat))
        found = place < self.pixels.size and self.pixels[place] == flat
        return int(self.number[place]) if found else None

    def boxes(self) -> Indices:
        """The rectangles around the groups: int64 (count, 4) of y0, x0, height, width."""
        rows, columns = np.divmod(self.pixels, self.shape[1])
        low = np.full((self.count, 2), np.iinfo(np.int64).max)
        high = np.full((self.count, 2), -1)
        for axis, place in enumerate((rows, columns)):
            np.minimum.at(low[:, axis], self.number, place)
            np.maximum.at(high[:, axis], self.number, place)
        return np.hstack([low, high - low + 1])

    def sizes(self) -> Indices:
        """How many pixels each group has, int64 (count,)."""
        return np.bincount(self.number, minlength=self.count)


def connected_groups(mask: Mask) -> Groups:
    """Join masked pixels of a bool (H, W) mask that touch by a side or a corner."""
    height, width = mask.shape
    pixels = np.flatnonzero(mask).astype(np.int64)
    columns = pixels % width if pixels.size else pixels
    ends: list[tuple[Indices, Indices]] = []
    # Each pixel looks right, and at the three below it; the others look at it in their turn.
    for step_y, step_x in ((0, 1), (1, -1), (1, 0), (1, 1)):
        inside = (columns + step_x >= 0) & (columns + step_x < width)
        start = np.flatnonzero(inside)
        neighbour = pixels[start] + step_y * width + step_x
        place = np.searchsorted(pixels, neighbour)
        place[place == pixels.size] = 0
        joined = pixels[place] == neighbour if pixels.size else np.zeros(0, dtype=bool)
        ends.append((start[joined], place[joined]))
    first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
    links = sparse.coo_array(
        (np.ones(first.size, dtype=bool), (first, second)), shape=(pixels.size,) * 2
    )
    count, number = _in_reading_order(*sparse.csgraph.connected_components(links, directed=False))
    return Groups((height, width), pixels, number, count)


def _in_reading_order(count: int, label: NDArray[np.int32]) -> tuple[int, Indices]:
    """Number the groups by where they first occur."""
    _, first = np.unique(label, return_index=True)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(count)
    return count, rank[label]


@dataclass(frozen=True)
class MaskEdit:
    """One thing said about pixels: `action` is "add", "remove" or "confirm".

    `region` is a bool array whose corner lies at row `y0`, column `x0`. "confirm" says that the
    whole frame was looked at and that the mask is `region`, of the frame's shape.
    """

    action: str
    y0: int
    x0: int
    region: Mask


@dataclass(frozen=True)
class EditedMask:
    """A mask with what people said: `judged` marks the pixels that someone spoke about."""

    mask: Mask
    judged: Mask


def edited(mask: Mask, edits: Iterable[MaskEdit]) -> EditedMask:
    """Apply edits, oldest first, to a copy of a bool (H, W) mask; the last word on a pixel holds.

    Raises ValueError on another action and on a region beyond the frame.
    """
    now, judged = mask.copy(), np.zeros_like(mask)
    for edit in edits:
        height, width = edit.region.shape
        place = (slice(edit.y0, edit.y0 + height), slice(edit.x0, edit.x0 + width))
        if now[place].shape != edit.region.shape or min(edit.y0, edit.x0) < 0:
            raise ValueError(f"an edit of {edit.region.shape} pixels leaves a {mask.shape} frame")
        match edit.action:
            case "add":
                now[place] |= edit.region
                judged[place] |= edit.region
            case "remove":
                now[place] &= ~edit.region
                judged[place] |= edit.region
            case "confirm":
                now[place] = edit.region
                judged[place] = True
            case other:
                raise ValueError(f"expected add, remove or confirm, got {other!r}")
    return EditedMask(now, judged)
