"""Another embedder's vector of a part of each image."""

from __future__ import annotations

from collections.abc import Callable

from engine.anomalies.embedders.base import Embedder, Embeddings, Images, check_images


class CroppedEmbedder:
    """`inner` on what `crop` leaves of the images, as parts "PREFIX-PART".

    `crop` takes images float32 (N, 3, H, W) in [0, 1] and gives as many, of any size.
    """

    def __init__(self, prefix: str, inner: Embedder, crop: Callable[[Images], Images]) -> None:
        self.name = f"{prefix}-{inner.name}"
        self.dimension = inner.dimension
        self.parts = {f"{prefix}-{part}": columns for part, columns in inner.parts.items()}
        self.input_side = 2 * inner.input_side
        self._inner = inner
        self._crop = crop

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1], at least 4 px a side."""
        check_images(images)
        return self._inner.embed(self._crop(images))
