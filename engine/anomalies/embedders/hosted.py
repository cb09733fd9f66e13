"""A hosted multimodal embedding endpoint: what is sent and must come back; sending is given."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.embedders.base import Embeddings, Images, check_images
from engine.errors import ModelError
from engine.writing import write_png

Send = Callable[[Mapping[str, Any]], Any]
NAME = "hosted"
SIDE = 160


class HostedEmbedder:
    """Image embeddings of an endpoint that speaks Vertex AI's multimodal embedding protocol.

    One request an image: `{"instances": [{"image": {"bytesBase64Encoded": PNG}}], "parameters":
    {"dimension": D}}`, answered by `{"predictions": [{"imageEmbedding": [D numbers]}]}` (Google
    Cloud, "Get multimodal embeddings"). `send` posts such a document and returns the answer: this
    package opens no socket. `calls` counts what was sent. Raises ModelError for an answer that is
    not of this form, or not finite.
    """

    input_side = SIDE

    def __init__(self, send: Send, dimension: int, name: str = NAME) -> None:
        if dimension < 1:
            raise ModelError(f"the dimension must be at least 1, got {dimension}")
        self.name = name
        self.dimension = dimension
        self.parts = {"deep": slice(0, dimension)}
        self.calls = 0
        self._send = send

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1]."""
        check_images(images)
        if len(images) == 0:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([self._one(image) for image in images])

    def _one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        picture = write_png(None, 255.0 * image, bits=8)
        instance = {"image": {"bytesBase64Encoded": base64.b64encode(picture).decode("ascii")}}
        request = {"instances": [instance], "parameters": {"dimension": self.dimension}}
        self.calls += 1
        return self._vector(self._send(request))

    def _vector(self, answer: Any) -> NDArray[np.float32]:
        try:
            numbers = answer["predictions"][0]["imageEmbedding"]
            vector = np.asarray(numbers, dtype=np.float32)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ModelError(
                "the embedding endpoint answered without predictions[0].imageEmbedding "
                f"({type(error).__name__}): is it a multimodal embedding endpoint?"
            ) from error
        if vector.shape != (self.dimension,) or not np.isfinite(vector).all():
            raise ModelError(
                f"the embedding endpoint must answer {self.dimension} finite numbers, got shape "
                f"{vector.shape}: set SKYSIEVE_EMBEDDING_DIMENSION to what it gives"
            )
        return vector
