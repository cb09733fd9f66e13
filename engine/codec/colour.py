"""Three planes of colour as luma and two differences, which say little twice.

YCoCg (Malvar and Sullivan, 2003): Y = (R + 2 G + B) / 4, Co = (R - B) / 2, Cg = (2 G - R - B) / 4.
All three stay within the network's range, and equal errors in them weigh about alike in R, G, B.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PLANES = 3
ERROR_GAIN = 8.0 / 3.0
"""Squared error of R, G and B together for equal squared errors of Y, Co and Cg, per plane."""

PLANE_GAINS = (3.0, 2.0, 3.0)
"""Squared error of R, G and B together for a squared error of 1 in Y, Co or Cg alone."""

Floats = NDArray[np.floating]


def to_luma(planes: Floats) -> Floats:
    """(3, H, W) of R, G, B as Y, Co, Cg."""
    red, green, blue = planes
    outer = (red + blue) / 2
    return np.stack([(outer + green) / 2, (red - blue) / 2, (green - outer) / 2])


def from_luma(planes: Floats) -> Floats:
    """What `to_luma` began with."""
    luma, orange, leaf = planes
    outer = luma - leaf
    return np.stack([outer + orange, luma + leaf, outer - orange])


def squared_errors(planes: Floats) -> Floats:
    """Expected squared errors of R, G, B from independent ones of Y, Co, Cg, (3, ...)."""
    luma, orange, leaf = planes
    whole = luma + orange + leaf
    return np.stack([whole, luma + leaf, whole])
