"""Extended objects of every kind: drawing their shape and painting them on a canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.sky import anomalies, galaxies
from engine.sky.profiles import Grid, Parameters
from engine.sky.truth import ANOMALY_KINDS, SkyObject

OVERSAMPLING = 2
REACH_RADII = 6.0


@dataclass(frozen=True)
class Morphology:
    """How a kind's shape is drawn and what light that shape gives."""

    draw: Callable[[np.random.Generator, float], dict[str, float]]
    light: Callable[[Grid, Grid, Parameters], Grid]


MORPHOLOGIES = {
    "elliptical": Morphology(galaxies.draw_elliptical, galaxies.elliptical),
    "spiral": Morphology(galaxies.draw_spiral, galaxies.spiral),
    "barred": Morphology(galaxies.draw_barred, galaxies.barred),
    "ring": Morphology(anomalies.draw_ring, anomalies.ring),
    "arc": Morphology(anomalies.draw_arc, anomalies.arc),
    "merger": Morphology(anomalies.draw_merger, anomalies.merger),
}


def draw_extended(
    rng: np.random.Generator, kind: str, x: float, y: float, radius_px: float, flux_e: float
) -> SkyObject:
    """Draw one object of a kind in MORPHOLOGIES. Raises ValueError on another kind."""
    if kind not in MORPHOLOGIES:
        raise ValueError(f"no extended object of kind {kind!r}: choose from {list(MORPHOLOGIES)}")
    shape = MORPHOLOGIES[kind].draw(rng, radius_px)
    return SkyObject(kind, x, y, radius_px, flux_e, kind in ANOMALY_KINDS, shape)


def paint_extended(canvas: NDArray[np.float64], thing: SkyObject) -> None:
    """Add an object's expected electrons, not yet blurred, to the canvas (H, W), in place.

    Its light is normalised to `flux_e` within six half-light radii, before the edges cut it.
    """
    reach = int(np.ceil(REACH_RADII * thing.size_px))
    column, row = round(thing.x), round(thing.y)
    height, width = canvas.shape
    x0, x1 = max(column - reach, 0), min(column + reach + 1, width)
    y0, y1 = max(row - reach, 0), min(row + reach + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    side = 2 * reach + 1
    fine = (np.arange(side * OVERSAMPLING) + 0.5) / OVERSAMPLING - 0.5 - reach
    dy, dx = np.meshgrid(fine - (thing.y - row), fine - (thing.x - column), indexing="ij")
    light = MORPHOLOGIES[thing.kind].light(dx, dy, thing.parameters)
    binned = light.reshape(side, OVERSAMPLING, side, OVERSAMPLING).sum(axis=(1, 3))
    binned *= thing.flux_e / binned.sum()
    left, top = x0 - (column - reach), y0 - (row - reach)
    canvas[y0:y1, x0:x1] += binned[top : top + y1 - y0, left : left + x1 - x0]
