"""Cells of the sky: positions so close that one question answers for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

CELL_ARCSEC = 2.0
SLACK_ARCSEC = 1.5
"""No place of a cell is farther from its centre: half the diagonal of 2 x 2 arcsec, and a bit."""
RADIUS_STEP_ARCSEC = 0.5
DAY_MINUTES = 1440.0


@dataclass(frozen=True)
class Cell:
    """One cell: its name and its centre in degrees."""

    name: str
    ra_deg: float
    dec_deg: float


def cell_of(ra_deg: float, dec_deg: float) -> Cell:
    """The cell that a position lies in: a band of declination, cut into pieces as wide as high."""
    bands = round(180 * 3600 / CELL_ARCSEC)
    band = min(int((dec_deg + 90) * 3600 / CELL_ARCSEC), bands - 1)
    centre_dec = -90 + (band + 0.5) * CELL_ARCSEC / 3600
    pieces = max(1, math.ceil(360 * 3600 * math.cos(math.radians(centre_dec)) / CELL_ARCSEC))
    piece = min(int(ra_deg / 360 * pieces), pieces - 1)
    return Cell(f"{band}.{piece}", (piece + 0.5) * 360 / pieces, centre_dec)


def near_arcsec(radius_arcsec: float) -> float:
    """How far around a cell's centre to look for a cone of that radius about any of its places.

    Radii are rounded up, so that cones that differ a little share what was listed.
    """
    steps = math.ceil(radius_arcsec / RADIUS_STEP_ARCSEC - 1e-9)
    return steps * RADIUS_STEP_ARCSEC + SLACK_ARCSEC


def moment_of(mjd: float) -> str:
    """The minute that a date lies in, as text: what moves is asked for anew each minute."""
    return str(round(mjd * DAY_MINUTES))
