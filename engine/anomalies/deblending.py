"""Splitting sources that touch: multi-threshold trees, then steepest ascent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float64]
Labels = NDArray[np.int32]

LEVELS = 16
CONTRAST = 0.05
MIN_AREA_PX = 5
EIGHT = np.ones((3, 3), dtype=np.bool_)


def deblend(image: Image, segments: Labels, threshold: float) -> Labels:
    """Split each segment of `segments` (H, W), 0 = sky, where it holds several sources.

    Going up 16 exponentially spaced levels from `threshold` to the segment's peak, a branch counts
    as a source when it has at least 5 px and holds, above its level, 5 % of the segment's light
    (Bertin & Arnouts 1996, A&AS 117). Every pixel goes to the branch that steepest ascent leads to.
    Labels of the result are consecutive.
    """
    result = np.zeros_like(segments)
    count = 0
    for label, box in enumerate(ndimage.find_objects(segments), start=1):
        inside = segments[box] == label
        light = np.where(inside, image[box], 0.0)
        markers = _branches(light, threshold)
        number = int(markers.max())
        parts = _climbed(light, markers, inside) if number > 1 else inside.astype(np.int32)
        result[box][inside] = parts[inside] + count
        count += max(number, 1)
    return result


def _branches(light: Image, threshold: float) -> Labels:
    """Markers of the highest branches that each hold enough light, 1..n."""
    total, peak = float(light.sum()), float(light.max())
    if peak <= threshold:
        return (light > 0).astype(np.int32)
    markers = (light > 0).astype(np.int32)
    number = 1
    for level in np.geomspace(threshold, peak, LEVELS + 1)[1:-1]:
        above, found = ndimage.label(light > level, EIGHT)
        if found < 2:
            continue
        index = np.arange(1, found + 1)
        held = ndimage.sum_labels(light - level, above, index)
        area = ndimage.sum_labels(np.ones_like(light), above, index)
        strong = index[(held >= CONTRAST * total) & (area >= MIN_AREA_PX)].astype(np.int32)
        markers, number = _refine(markers, number, above, strong)
    return markers


def _refine(
    markers: Labels, number: int, above: NDArray[np.integer], strong: NDArray[np.int32]
) -> tuple[Labels, int]:
    """Replace each marker that holds two or more strong branches by these branches."""
    refined = np.zeros_like(markers)
    count = 0
    for marker in range(1, number + 1):
        within = markers == marker
        children = [branch for branch in strong if within[above == branch].all()]
        areas = [above == branch for branch in children] if len(children) > 1 else [within]
        for area in areas:
            count += 1
            refined[area] = count
    return refined, count


def _climbed(light: Image, markers: Labels, inside: NDArray[np.bool_]) -> Labels:
    """Give each pixel to the branch it climbs to; those that end elsewhere to the nearest one.

    Pixels are compared by rank, so that no two are equal and every climb ends.
    """
    rows, columns = light.shape
    ranks = np.argsort(np.argsort(np.where(inside, light, -1.0), axis=None, kind="stable"))
    padded = np.pad(ranks.reshape(light.shape), 1, constant_values=-1)
    steps = [(y, x) for y in range(3) for x in range(3)]
    around = np.stack([padded[y : y + rows, x : x + columns] for y, x in steps])
    best = np.array(steps)[around.argmax(axis=0)] - 1
    grid = np.indices(light.shape)
    summit = ((grid[0] + best[..., 0]) * columns + grid[1] + best[..., 1]).ravel()
    while not np.array_equal(summit[summit], summit):
        summit = summit[summit]
    reached = markers.ravel()[summit].reshape(light.shape)
    nearest = ndimage.distance_transform_edt(
        markers == 0, return_distances=False, return_indices=True
    )
    owner = np.where(markers > 0, markers, np.where(reached > 0, reached, markers[tuple(nearest)]))
    return np.where(inside, owner, 0).astype(np.int32)
