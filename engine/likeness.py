"""What a frame looks like, small enough to compare with thousands: hash and thumbnail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.frame import Frame

SIDE = 16


@dataclass(frozen=True)
class Likeness:
    """`hash` is 64 bits; `thumbnail` (16 x 16,) float32 has mean 0 and length 1, or is all 0."""

    hash: int
    thumbnail: tuple[float, ...]


def likeness_of(frame: Frame) -> Likeness:
    """Work out hash and thumbnail of the planes' mean, bad pixels filled with the median.

    The hash is the signs of the lowest 8 x 8 DCT coefficients against their median (Zauner 2010)
    after an arcsinh stretch over the median absolute deviation, so that one bright star does not
    decide it alone. The thumbnail holds means over 16 x 16 blocks of the same stretched image.
    """
    pixels = frame.filled().astype(np.float64)
    plane = pixels if pixels.ndim == 2 else pixels.mean(axis=0)
    middle = float(np.median(plane))
    spread = float(np.median(np.abs(plane - middle))) or float(plane.std()) or 1.0
    stretched = np.arcsinh((plane - middle) / (3 * spread))
    low, high = float(stretched.min()), float(stretched.max())
    levels = np.rint(255 * (stretched - low) / (high - low)) if high > low else 0 * stretched
    picture = Image.fromarray(levels.astype(np.uint8))
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    unit = small / length if length > 0 else small
    return Likeness(int(str(imagehash.phash(picture)), 16), tuple(unit.ravel().tolist()))


def distance_bits(first: int, second: int) -> int:
    """In how many of 64 bits two hashes differ."""
    return (first ^ second).bit_count()


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Pearson's correlation of two thumbnails, -1 to 1; 0 where one is flat."""
    return float(np.dot(first, second))


def may_be_the_same(first: Frame, second: dict[str, float | str | None]) -> bool:
    """Whether two observations could show one moment and place of the sky.

    What both state must agree: time within a second, band, and position within a tenth of an
    arcmin. Two epochs of one field look alike, and their difference is what people look for.
    `second` has mjd, band, ra_deg, dec_deg.
    """
    origin = first.origin
    mjd, band = second["mjd"], second["band"]
    if (origin.mjd is None) != (mjd is None) or (origin.band or "") != (band or ""):
        return False
    if origin.mjd is not None and abs(origin.mjd - float(mjd or 0)) > 1 / 86400:
        return False
    ra_deg, dec_deg = second["ra_deg"], second["dec_deg"]
    if origin.ra_deg is None or origin.dec_deg is None:
        return ra_deg is None
    if ra_deg is None or dec_deg is None:
        return False
    cos = math.cos(math.radians(origin.dec_deg))
    apart_ra = (origin.ra_deg - float(ra_deg) + 180) % 360 - 180
    return math.hypot(apart_ra * cos, origin.dec_deg - float(dec_deg)) < 6 / 3600
