"""A place on a frame for people who look for it: a cutout's WCS, its scale, north and east."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from engine.frame import Frame

STEPS_ARCSEC = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


@dataclass(frozen=True)
class Compass:
    """Unit vectors (dx, dy) in pixels towards north and east, and the pixel's size on the sky."""

    north: tuple[float, float]
    east: tuple[float, float]
    arcsec_per_px: float


def cutout_wcs(frame: Frame, x: float, y: float, size_px: int) -> WCS | None:
    """The WCS of the square cutout of `size_px` around pixel (x, y), None where the frame has none.

    Pixel (0, 0) of the cutout is the frame's (ceil(x - size / 2), ceil(y - size / 2)), as
    `astropy.nddata.Cutout2D` cuts it.
    """
    wcs = frame.wcs
    if wcs is None:
        return None
    moved = wcs.deepcopy()
    corner = np.array([first_pixel(x, size_px), first_pixel(y, size_px)])
    moved.wcs.crpix = moved.wcs.crpix - corner
    if moved.sip is not None:
        from astropy.wcs import Sip

        sip = moved.sip
        moved.sip = Sip(sip.a, sip.b, sip.ap, sip.bp, moved.wcs.crpix)
    return moved


def first_pixel(centre: float, size_px: int) -> int:
    """The first pixel of `size_px` around `centre`, as astropy's Cutout2D takes it."""
    return math.ceil(centre - size_px / 2)


def compass(wcs: WCS, x: float, y: float) -> Compass | None:
    """Where north and east are at pixel (x, y), None where the WCS gives no direction there.

    A hundredth of a pixel's size along declination and right ascension, seen in pixels.
    """
    scale_deg = float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs)[:2])))
    here = wcs.pixel_to_world(x, y)
    if not np.isfinite([here.icrs.ra.deg, here.icrs.dec.deg]).all() or scale_deg <= 0:
        return None
    arrows = []
    for angle_deg in (0.0, 90.0):
        there = here.icrs.directional_offset_by(_deg(angle_deg), _deg(scale_deg))
        dx, dy = (float(a) - b for a, b in zip(wcs.world_to_pixel(there), (x, y), strict=True))
        length = math.hypot(dx, dy)
        if not math.isfinite(length) or length == 0:
            return None
        arrows.append((dx / length, dy / length))
    return Compass(arrows[0], arrows[1], 3600 * scale_deg)


def bar_arcsec(field_arcsec: float) -> float:
    """A round length for a scale bar: the longest step that fits into a third of the field."""
    fitting = [step for step in STEPS_ARCSEC if step <= field_arcsec / 3]
    return fitting[-1] if fitting else STEPS_ARCSEC[0]


def _deg(value: float) -> object:
    from astropy import units

    return value * units.deg
