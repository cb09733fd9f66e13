"""The central half of each image: the object itself, with less around it.

Cutouts and survey images have their object in the middle; a second look without the surroundings
told bent radio sources and spiral arms apart better than more views of the whole.
"""

from __future__ import annotations

import numpy as np

from engine.anomalies.embedders.base import Images


def central_half(images: Images) -> Images:
    """Rows and columns from a quarter to three quarters of (N, 3, H, W), a quarter of its area."""
    height, width = images.shape[2:]
    top, left = height // 4, width // 4
    return np.ascontiguousarray(images[:, :, top : height - top, left : width - left])
