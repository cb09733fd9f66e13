"""The object in the middle of each image, cropped to its own light.

Sources of one survey fill very different shares of their pictures; cropped alike, their shapes
compare and their sizes do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.anomalies.embedders.base import Images
from engine.anomalies.embedders.morphology import resample
from engine.anomalies.preprocessing import resized

SIDE = 80
BORDER_PX = 3
ABOVE_SIGMA = 3.0
LEAST_NOISE = 1e-3
CENTRE_PX = 2
LIGHT_SHARE = 0.9
MARGIN = 1.5
LEAST_HALF_PX = 6


def object_squares(images: Images, side: int) -> Images:
    """A square about the middle of each image (N, 3, H, H), at side x side pixels.

    Its half is 1.5 times the radius that holds 90 % of the object's light; where nothing stands
    out in the middle it is the central half.
    """
    squares = np.empty((len(images), 3, side, side), np.float32)
    length = images.shape[-1]
    for number, share in enumerate(object_sizes(images)):
        half = max(2, round(share * length / 2))
        middle = slice(length // 2 - half, length // 2 + half)
        squares[number] = resized(images[number, :, middle, middle], side)
    return squares


def object_sizes(images: Images) -> NDArray[np.float64]:
    """Side of the object's square as a share of the image's, in (0, 1], float64 (N,).

    Light is what stands 3 sigma above the median of the border (sigma by the median deviation), on
    80 x 80 pixels, and of it what is connected to the middle.
    """
    grey = resample(images, SIDE).mean(axis=1)
    return np.array([_half_size(picture) / (SIDE / 2) for picture in grey], np.float64)


def _half_size(picture: NDArray[np.float64]) -> float:
    edge = np.ones(picture.shape, dtype=np.bool_)
    edge[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    sky = float(np.median(picture[edge]))
    noise = 1.4826 * float(np.median(np.abs(picture[edge] - sky))) + LEAST_NOISE
    light = np.where(picture - sky > ABOVE_SIGMA * noise, picture - sky, 0.0)
    parts, _ = ndimage.label(light, structure=np.ones((3, 3)))
    near = slice(SIDE // 2 - CENTRE_PX, SIDE // 2 + CENTRE_PX)
    central = parts[near, near][parts[near, near] > 0]
    if not len(central):
        return SIDE / 4
    own = np.where(parts == np.bincount(central).argmax(), light, 0.0).ravel()
    grown = np.cumsum(own[_ORDER])
    radius = float(_RADII[np.searchsorted(grown, LIGHT_SHARE * grown[-1])])
    return float(np.clip(MARGIN * radius, LEAST_HALF_PX, SIDE / 2))


_Y, _X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
_ORDER = np.argsort(np.hypot(_Y, _X).ravel(), kind="stable")
_RADII = np.hypot(_Y, _X).ravel()[_ORDER]
