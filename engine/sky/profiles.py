"""Surface-brightness profiles that galaxies are made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Parameters = Mapping[str, float]

CORE_SOFTENING_PX = 0.2


def rotated(dx: Grid, dy: Grid, angle: float) -> tuple[Grid, Grid]:
    """Coordinates along and across an axis at `angle` radians from the x axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * dx + sin * dy, -sin * dx + cos * dy


def elliptical_radius(dx: Grid, dy: Grid, axis_ratio: float, angle: float) -> Grid:
    """Radius along the major axis of the ellipse through each point, softened at the core."""
    along, across = rotated(dx, dy, angle)
    squared: Grid = along**2 + (across / axis_ratio) ** 2 + CORE_SOFTENING_PX**2
    return np.sqrt(squared)


def sersic(radius: Grid, half_light_px: float, index: float) -> Grid:
    """Sersic (1963) profile, 1 at the half-light radius.

    exp(-b ((r/re)^(1/n) - 1)) with b = 2n - 1/3 + 4/(405n) (Ciotti & Bertin 1999, A&A 352, 447).
    """
    b = 2.0 * index - 1.0 / 3.0 + 4.0 / (405.0 * index)
    return np.exp(-b * ((radius / half_light_px) ** (1.0 / index) - 1.0))


def blob(dx: Grid, dy: Grid, sigma: float) -> Grid:
    """A round Gaussian of peak 1."""
    light: Grid = np.exp(-(dx**2 + dy**2) / (2.0 * sigma**2))
    return light


def mixed(first: Grid, second: Grid, share_of_second: float) -> Grid:
    """Two components by their shares of the total light."""
    total: Grid = (1.0 - share_of_second) * first / first.sum()
    total += share_of_second * second / second.sum()
    return total
