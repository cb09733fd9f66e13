"""A vision transformer from a local folder or the hub's cache."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.anomalies.embedders.base import Embeddings, Images, check_images
from engine.anomalies.embedders.precision import Precision, at_precision, best_precision
from engine.errors import ModelError

BATCH = 16
MEAN = STD = (0.5, 0.5, 0.5)


class VitEmbedder:
    """The first token of a transformers vision model after its final layer norm, and its patches.

    `source` is a folder or a hub name already fetched: nothing is downloaded here. Images are
    resized to the model's side and normalised as its preprocessor_config.json says, else to
    [-1, 1]. `precision` is int8, bf16 or fp32, by default what the processor does fastest; fp32 is
    what transformers would compute. Dosovitskiy et al. (2021), ICLR. Raises ModelError when the
    model is not there or is not a vision transformer.
    """

    def __init__(self, source: str, precision: Precision | None = None) -> None:
        from transformers import AutoModel

        try:
            model: Any = AutoModel.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"no vision transformer at {source!r} ({error}): give a folder with config.json "
                "and weights, or run `skysieve models fetch` first"
            ) from error
        side, width = getattr(model.config, "image_size", None), model.config.hidden_size
        patch = getattr(model.config, "patch_size", None)
        if not isinstance(side, int) or not isinstance(patch, int):
            raise ModelError(f"{source!r} is not a vision model with one image_size and patch_size")
        self.precision: Precision = precision or best_precision()
        self.name = f"vit:{source}"
        self.dimension = int(width)
        self.parts = {"deep": slice(0, self.dimension)}
        self.patches_per_side = side // patch
        self._side = side
        self.input_side = 160  # what references were fitted at before embedders could choose
        self._mean, self._std = _normalisation(source)
        self._dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._model = at_precision(
                model.eval().requires_grad_(requires_grad=False), self.precision
            )

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, D) of images float32 (N, 3, H, W) in [0, 1]."""
        return self._run(images, lambda hidden: hidden[:, 0], (self.dimension,))

    def patch_tokens(self, images: Images) -> NDArray[np.float32]:
        """Patch tokens float32 (N, P, P, D), rows from the top, of images float32 (N, 3, H, W)."""
        side, width = self.patches_per_side, self.dimension

        def grid(hidden: Tensor) -> Tensor:
            return hidden[:, -side * side :].reshape(-1, side, side, width)  # after special tokens

        return self._run(images, grid, (side, side, width))

    def _run(self, images: Images, pick: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
        check_images(images)
        if len(images) == 0:
            return np.empty((0, *shape), dtype=np.float32)
        with torch.inference_mode():
            batches = [
                pick(self._tokens(torch.from_numpy(images[start : start + BATCH]))).float()
                for start in range(0, len(images), BATCH)
            ]
        return np.asarray(torch.cat(batches).numpy(), dtype=np.float32)

    def _tokens(self, images: Tensor) -> Tensor:
        resized = functional.interpolate(
            images,
            size=(self._side, self._side),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        pixels = ((resized - self._mean) / self._std).to(self._dtype)
        hidden: Tensor = self._model(pixel_values=pixels).last_hidden_state
        return hidden


def _normalisation(source: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per colour that the model was trained with, (3, 1, 1) each."""
    from transformers.image_processing_base import ImageProcessingMixin

    mean, std = MEAN, STD
    if (Path(source) / "preprocessor_config.json").is_file() or not Path(source).is_dir():
        try:
            facts, _ = ImageProcessingMixin.get_image_processor_dict(source, local_files_only=True)
        except OSError:
            facts = {}  # a model without one: the convention of ViT itself
        mean, std = facts.get("image_mean", mean), facts.get("image_std", std)
    return torch.tensor(mean).reshape(3, 1, 1), torch.tensor(std).reshape(3, 1, 1)
