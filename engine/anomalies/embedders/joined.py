"""Several embedders side by side: each keeps its own columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.anomalies.embedders.base import Embedder, Embeddings, Images


class JoinedEmbedder:
    """The vectors of several embedders, concatenated; scores are fitted per part."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self.embedders = tuple(embedders)
        self.name = "+".join(embedder.name for embedder in embedders)
        self.dimension = sum(embedder.dimension for embedder in embedders)
        self.input_side = max(embedder.input_side for embedder in embedders)
        self.parts: dict[str, slice] = {}
        start = 0
        for embedder in embedders:
            for part, columns in embedder.parts.items():
                self.parts[part] = slice(start + columns.start, start + columns.stop)
            start += embedder.dimension

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1]."""
        return np.concatenate([embedder.embed(images) for embedder in self.embedders], axis=1)
