"""What every embedder offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError

Images = NDArray[np.float32]
Embeddings = NDArray[np.float32]


class Embedder(Protocol):
    """Turns images into vectors; `parts` names the columns that belong together.

    `name` can be given to `make_embedder`, `dimension` is the length D of a vector, `input_side`
    the side of the square images that it is best given.
    """

    name: str
    dimension: int
    parts: dict[str, slice]
    input_side: int

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1].

        Raises ModelError for another shape, type or range.
        """
        ...


def check_images(images: Images) -> None:
    """Raise ModelError unless `images` is float32 (N, 3, H, W), finite, in [0, 1]."""
    if images.dtype != np.float32 or images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(
            f"images must be float32 (N, 3, H, W), got {images.dtype} {images.shape}: "
            "prepare them with embedder_input"
        )
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise ModelError("images must be finite and in [0, 1]: prepare them with embedder_input")
