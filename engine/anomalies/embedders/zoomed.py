"""Another embedder's vector of the central half: the object itself, with less around it."""

from __future__ import annotations

import numpy as np

from engine.anomalies.embedders.base import Embedder, Embeddings, Images, check_images

PREFIX = "zoom-"


class ZoomedEmbedder:
    """`inner` on the central half of each image (a quarter of its area), as parts "zoom-PART".

    Cutouts and survey images have their object in the middle; a second look without the
    surroundings told bent radio sources and spiral arms apart better than more views of the whole.
    """

    def __init__(self, inner: Embedder) -> None:
        self.name = f"{PREFIX}{inner.name}"
        self.dimension = inner.dimension
        self.parts = {f"{PREFIX}{part}": columns for part, columns in inner.parts.items()}
        self.input_side = 2 * inner.input_side
        self._inner = inner

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1], at least 4 px a side."""
        check_images(images)
        return self._inner.embed(central_half(images))


def central_half(images: Images) -> Images:
    """Rows and columns from a quarter to three quarters of (N, 3, H, W), copied."""
    height, width = images.shape[2:]
    top, left = height // 4, width // 4
    return np.ascontiguousarray(images[:, :, top : height - top, left : width - left])
