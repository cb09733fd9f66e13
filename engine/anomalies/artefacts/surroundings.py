"""What an artefact shows beyond one footprint: its island, its continuation, the coder's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.anomalies.cutouts import Cutout
from engine.frame import Mask

Table = NDArray[np.float64]

NAMES = (
    "island_area", "island_over_own", "island_members", "island_width", "island_elongation",
    "island_fill", "island_solid", "island_border", "island_flat", "island_centre", "rim_inside",
    "rim_outside", "beyond_most", "beyond_least", "ridge_low", "ridge_rough", "bend", "across",
    "grid_step",
)  # fmt: skip
ISLAND_SIGMA = 1.13  # 4 sigma of what white noise leaves when smoothed by 1 px
BEYOND_PX, BESIDE_PX = 40, 6.0
LEAST_RIDGE = 5
BLOCK_SIDES = (8, 16, 32)
TINY = 1e-9


@dataclass(frozen=True)
class Island:
    """Pixels above the detection threshold that hang together, several sources perhaps.

    `area` in px, `members` the number of detections on it, `width` and `length` its pixels'
    standard deviations across and along its long axis, `fill` its share of its bounding box,
    `border` its pixels at the frame's edge per px of length, `flat` the median over the 95 %
    quantile of its light, `centre` the light at its middle over the median, `rim_inside` and
    `rim_outside` the light 1 px within and 2 px beyond its outline over the median.
    """

    area: int
    members: int
    width: float
    length: float
    fill: float
    border: float
    flat: float
    centre: float
    rim_inside: float
    rim_outside: float


def surroundings_table(image: NDArray[np.floating], good: Mask, cutouts: Sequence[Cutout]) -> Table:
    """Features float64 (N, 19), one row a cutout.

    `image` (H, W) is the frame above its background in units of the noise, `good` True where
    pixels count.
    """
    light: Table = np.asarray(image, dtype=np.float64)
    smooth = ndimage.gaussian_filter(light, 1.0)
    found, _ = ndimage.label((smooth > ISLAND_SIGMA) & good, structure=np.ones((3, 3)))
    labels: NDArray[np.int32] = np.asarray(found, dtype=np.int32)
    boxes = ndimage.find_objects(labels)
    own = [_label_of(cutout, labels) for cutout in cutouts]
    islands: dict[int, Island] = {}
    rows = []
    for cutout, label in zip(cutouts, own, strict=True):
        if label and label not in islands:
            islands[label] = _island(labels, label, boxes[label - 1], light, own.count(label))
        rows.append(_row(cutout, islands.get(label), light, smooth))
    return np.array(rows).reshape(-1, len(NAMES))


def _label_of(cutout: Cutout, labels: NDArray[np.int32]) -> int:
    """The island that most of a footprint lies on, 0 for none."""
    rows, columns = footprint_pixels(cutout, labels.shape)
    found = labels[rows, columns]
    found = found[found > 0]
    return int(np.bincount(found).argmax()) if found.size else 0


def footprint_pixels(
    cutout: Cutout, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the frame that a cutout's footprint covers."""
    own = cutout.footprint
    if own is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, columns = np.nonzero(own)
    rows = rows + round(cutout.y) - own.shape[0] // 2
    columns = columns + round(cutout.x) - own.shape[1] // 2
    there = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return rows[there], columns[there]


def _island(
    labels: NDArray[np.int32], label: int, box: tuple[slice, ...], light: Table, members: int
) -> Island:
    height, width = labels.shape
    rows, columns = (
        slice(max(part.start - 4, 0), min(part.stop + 4, most))
        for part, most in zip(box, (height, width), strict=True)
    )
    inside = labels[rows, columns] == label
    other = (labels[rows, columns] > 0) & ~inside
    values = light[rows, columns]
    middle = max(float(np.median(values[inside])), TINY)
    area = int(inside.sum())
    y, x = np.nonzero(inside)
    major, minor = _deviations(x.astype(np.float64), y.astype(np.float64))
    filled = ndimage.binary_fill_holes(inside)
    within = ndimage.distance_transform_edt(filled)
    beyond = ndimage.distance_transform_edt(~filled)
    rim = filled & (within > 1) & (within <= 2.5)
    outside = ~filled & (beyond > 1.5) & (beyond <= 3) & ~other
    cy, cx = round(float(y.mean())), round(float(x.mean()))
    heart = values[max(cy - 1, 0) : cy + 2, max(cx - 1, 0) : cx + 2]
    on_border = (
        (y + rows.start == 0)
        | (y + rows.start == height - 1)
        | (x + columns.start == 0)
        | (x + columns.start == width - 1)
    )
    return Island(
        area=area,
        members=members,
        width=minor,
        length=major,
        fill=area / max((box[0].stop - box[0].start) * (box[1].stop - box[1].start), 1),
        border=float(on_border.sum()) / major,
        flat=middle / max(float(np.quantile(values[inside], 0.95)), TINY),
        centre=float(heart.mean()) / middle,
        rim_inside=float(np.median(values[rim])) / middle if rim.any() else 0.0,
        rim_outside=float(np.median(values[outside])) / middle if outside.any() else 0.0,
    )


def _deviations(x: Table, y: Table) -> tuple[float, float]:
    """Standard deviations of pixels along and across their long axis, at least a pixel's own."""
    xx, yy = float(x.var()) + 1 / 12, float(y.var()) + 1 / 12
    xy = float(((x - x.mean()) * (y - y.mean())).mean())
    middle, root = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    return float(np.sqrt(middle + root)), float(np.sqrt(max(middle - root, 1 / 12)))


def _row(cutout: Cutout, island: Island | None, light: Table, smooth: Table) -> list[float]:
    own = max(cutout.area_px or 1, 1)
    if island is None:
        around = [0.0] * 12
    else:
        around = [
            float(np.log10(island.area)),
            float(np.log10(max(island.area / own, 0.1))),
            float(island.members),
            island.width,
            min(island.length / island.width, 60.0),
            island.fill,
            island.area / (4 * np.pi * island.length * island.width),
            island.border,
            island.flat,
            island.centre,
            island.rim_inside,
            island.rim_outside,
        ]
    return [*around, *_ridge(cutout, smooth), _grid_step(cutout, light)]


def _ridge(cutout: Cutout, smooth: Table) -> list[float]:
    """How a source goes on beyond its ends, and how straight, even and narrow its ridge is.

    Light beyond an end is the 70 % quantile over 40 px of the long axis less that of two parallel
    lines. The ridge's low is the 10 % quantile of its profile over the median; its roughness and
    its bend are the deviation from a straight line, and the deflection of the best parabola, in
    px; across is the light's deviation from that parabola.
    """
    rows, columns = footprint_pixels(cutout, smooth.shape)
    if rows.size < 3:
        return [0.0] * 6
    weight = np.maximum(smooth[rows, columns], TINY)
    cx, cy = float(np.average(columns, weights=weight)), float(np.average(rows, weights=weight))
    dx, dy = columns - cx, rows - cy
    xx, yy, xy = (float(np.average(v, weights=weight)) for v in (dx * dx, dy * dy, dx * dy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    cos, sin = np.cos(angle), np.sin(angle)
    along, off = dx * cos + dy * sin, -dx * sin + dy * cos
    ends = [
        _beyond(smooth, cx, cy, side * cos, side * sin, float((side * along).max()))
        for side in (1.0, -1.0)
    ]
    steps = np.rint(along).astype(np.int64)
    first = int(steps.min())
    total = np.bincount(steps - first, weights=weight)
    moved = np.bincount(steps - first, weights=weight * off)
    at = np.flatnonzero(total > TINY) + first
    ridge, light = moved[at - first] / total[at - first], total[at - first]
    low = float(np.quantile(light, 0.1) / max(float(np.median(light)), TINY))
    if len(at) < LEAST_RIDGE:
        across = float(np.sqrt(np.average(off**2, weights=weight)))
        return [max(ends), min(ends), low, 0.0, 0.0, across]
    line = np.polyval(np.polyfit(at, ridge, 1, w=np.sqrt(light)), at)
    curve = np.polyfit(at, ridge, 2, w=np.sqrt(light))
    across = float(np.sqrt(np.average((off - np.polyval(curve, along)) ** 2, weights=weight)))
    rough = float(np.sqrt(np.average((ridge - line) ** 2, weights=light)))
    bend = float(abs(curve[0])) * ((at[-1] - at[0]) / 2) ** 2
    return [max(ends), min(ends), low, rough, float(bend), across]


def _beyond(smooth: Table, x: float, y: float, cos: float, sin: float, end: float) -> float:
    """Light along a line from an end on, less that beside it."""
    steps = end + 3.0 + np.arange(BEYOND_PX)
    found = []
    for aside in (0.0, BESIDE_PX, -BESIDE_PX):
        columns = np.rint(x + steps * cos - aside * sin).astype(np.int64)
        rows = np.rint(y + steps * sin + aside * cos).astype(np.int64)
        there = (
            (columns >= 0) & (columns < smooth.shape[1]) & (rows >= 0) & (rows < smooth.shape[0])
        )
        values = smooth[rows[there], columns[there]]
        found.append(float(np.quantile(values, 0.7)) if values.size >= 5 else 0.0)
    return min(max(found[0] - max(found[1:]), -5.0), 50.0)


def _grid_step(cutout: Cutout, light: Table) -> float:
    """Largest jump at a coder block's border over the jumps within it, of three block sizes.

    The block is the one that the source's centre lies on; jumps are mean absolute differences of
    neighbouring pixels.
    """
    height, width = light.shape
    best = 0.0
    for side in BLOCK_SIDES:
        top, left = int(cutout.y // side) * side, int(cutout.x // side) * side
        bottom, right = min(top + side, height), min(left + side, width)
        block = light[top:bottom, left:right]
        rows = [(top, top - 1), (bottom - 1, bottom)]
        columns = [(left, left - 1), (right - 1, right)]
        jumps = [
            np.abs(light[a, left:right] - light[b, left:right]) for a, b in rows if 0 <= b < height
        ]
        jumps += [
            np.abs(light[top:bottom, a] - light[top:bottom, b])
            for a, b in columns
            if 0 <= b < width
        ]
        inner = [np.abs(np.diff(block, axis=axis)).ravel() for axis in (0, 1)]
        inside = float(np.concatenate(inner).mean()) if block.size > 4 else TINY
        if jumps:
            best = max(best, float(np.concatenate(jumps).mean()) / max(inside, TINY))
    return min(best, 20.0)
