"""What was chosen on a frame: a group of pixels, a rectangle, or painted pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard import layers
from dashboard.hits import MaskView
from engine.masks import connected_groups

Indices = NDArray[np.int64]
FAINTEST = 0.001
NOTHING: Indices = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Picked:
    """The chosen pixels as flat indices, how they came to be chosen, and where they lie.

    `group` is the number of the mask's group that they are, None for others.
    """

    pixels: Indices
    words: str
    place: tuple[int, int]
    box: tuple[int, int, int, int]
    group: int | None = None


def picked(chosen: dict[str, Any] | None, run: dict[str, Any], view: MaskView) -> Picked | None:
    """Turn what the viewer reports into pixels of the frame; None when nothing is chosen.

    A point on the mask is its group. A point beside it is the connected pixels that reach at
    least half the probability there, so that a hit below the threshold is found whole.
    """
    if not chosen or chosen.get("frame") != run["frame_digest"]:
        return None
    height, width = view.model.shape
    match chosen["kind"]:
        case "point":
            y, x = int(chosen["y"]), int(chosen["x"])
            inside = 0 <= y < height and 0 <= x < width
            return _at_point(y, x, run, view) if inside else None
        case "box":
            rows = _within(chosen["y"], chosen["height"], height)
            columns = _within(chosen["x"], chosen["width"], width)
            flat = (rows[:, None] * width + columns[None, :]).ravel()
            return _gathered(flat, width, f"rectangle of {rows.size} x {columns.size} pixels")
        case "brush":
            spots = [(int(spot["y"]), int(spot["x"])) for spot in chosen["pixels"]]
            inside = [y * width + x for y, x in spots if 0 <= y < height and 0 <= x < width]
            return _gathered(np.unique(np.array(inside, dtype=np.int64)), width, "painted pixels")
    return None


def _at_point(y: int, x: int, run: dict[str, Any], view: MaskView) -> Picked | None:
    width = view.model.shape[1]
    group = view.groups.at(y, x)
    if group is not None:
        found = _gathered(view.groups.members(group), width, "a group of the mask")
        return (
            None if found is None else Picked(found.pixels, found.words, (y, x), found.box, group)
        )
    stated = layers.probability(run)
    here = float(stated[y, x])
    flat = np.array([y * width + x])
    words = "one pixel"
    if here >= FAINTEST:
        around = connected_groups(stated >= max(here / 2, FAINTEST))
        inside = around.at(y, x)
        flat = flat if inside is None else around.members(inside)
        words = f"connected pixels with a probability of at least {here / 2:.3g}"
    found = _gathered(flat, width, words)
    return None if found is None else Picked(found.pixels, words, (y, x), found.box)


def _within(start: Any, length: Any, most: int) -> Indices:
    first = min(max(int(start), 0), most)
    return np.arange(first, min(max(int(start) + int(length), first), most))


def _gathered(flat: Indices, width: int, words: str) -> Picked | None:
    if not flat.size:
        return None
    rows, columns = np.divmod(flat, width)
    y0, x0 = int(rows.min()), int(columns.min())
    box = (y0, x0, int(rows.max()) - y0 + 1, int(columns.max()) - x0 + 1)
    return Picked(flat, words, (int(rows[0]), int(columns[0])), box)
