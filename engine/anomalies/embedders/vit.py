"""A vision transformer from a local folder or the hub's cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.anomalies.embedders.base import Embeddings, Images, check_images
from engine.errors import ModelError

BATCH = 16
MEAN = STD = 0.5


class VitEmbedder:
    """The pooled token of a transformers vision model, after its final layer norm.

    `source` is a folder or a hub name already fetched: nothing is downloaded here. Images are
    resized to the model's side and scaled to [-1, 1]. Dosovitskiy et al. (2021), ICLR. Raises
    ModelError when the model is not there or is not a vision transformer.
    """

    def __init__(self, source: str) -> None:
        from transformers import AutoModel

        try:
            model: Any = AutoModel.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"no vision transformer at {source!r} ({error}): give a folder with config.json "
                "and weights, or run `skysieve models fetch` first"
            ) from error
        side, width = getattr(model.config, "image_size", None), model.config.hidden_size
        if not isinstance(side, int):
            raise ModelError(f"{source!r} is not a vision model with one image_size")
        self.name = f"vit:{source}"
        self.dimension = int(width)
        self.parts = {"deep": slice(0, self.dimension)}
        self._side = side
        self._model = model.eval().requires_grad_(requires_grad=False)

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1]."""
        check_images(images)
        if len(images) == 0:
            return np.empty((0, self.dimension), dtype=np.float32)
        with torch.inference_mode():
            batches = [
                self._tokens(torch.from_numpy(images[start : start + BATCH]))
                for start in range(0, len(images), BATCH)
            ]
        return np.asarray(torch.cat(batches).float().numpy(), dtype=np.float32)

    def _tokens(self, images: Tensor) -> Tensor:
        resized = functional.interpolate(
            images,
            size=(self._side, self._side),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        hidden: Tensor = self._model(pixel_values=(resized - MEAN) / STD).last_hidden_state
        return hidden[:, 0]
