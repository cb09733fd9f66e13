"""Convolutions of the pixel networks, fast on one thread.

While nothing is trained, 3 x 3 convolutions go through NNPACK, whose minimal filtering (Winograd,
1980; Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks") takes about a third
of the time of a direct sum. A 5 x 5 convolution of stride 2 is one of 3 x 3 over the four phases of
its input. Sums differ from the direct ones by about 1e-5 of their size. Where the processor has no
NNPACK the layer runs as it is. Phases are taken apart and put together by one strided copy, in a
third of the time of `pixel_unshuffle` and `pixel_shuffle`.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import torch
from torch import Tensor, nn

LEAST_SIDE = 8
"""Images with a smaller side go the direct way."""


def convolved(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """What `layer` makes of `images` (B, C, H, W): 3 x 3 of stride 1, or 5 x 5 of stride 2."""
    if torch.is_grad_enabled() or images.dtype != torch.float32 or not _usable(images):
        made: Tensor = layer(images)
        return made
    if layer.kernel_size == (5, 5):
        images, weight = phases_of(images, 2), phase_weight(layer.weight)
    else:
        weight = layer.weight
    return torch._nnpack_spatial_convolution(images.contiguous(), weight, layer.bias, 1)


def phases_of(images: Tensor, stride: int) -> Tensor:
    """Images (B, C, H, W) as their phases (B, C stride^2, H / stride, W / stride)."""
    count, channels, height, width = images.shape
    rows, columns = height // stride, width // stride
    cells = images.reshape(count, channels, rows, stride, columns, stride)
    return cells.permute(0, 1, 3, 5, 2, 4).reshape(count, -1, rows, columns)


def from_phases(phases: Tensor, stride: int) -> Tensor:
    """Images (B, C, stride H, stride W) from their phases (B, C stride^2, H, W)."""
    count, _, rows, columns = phases.shape
    cells = phases.reshape(count, -1, stride, stride, rows, columns)
    return cells.permute(0, 1, 4, 2, 5, 3).reshape(count, -1, rows * stride, columns * stride)


def phase_weight(weight: Tensor) -> Tensor:
    """A 5 x 5 kernel of stride 2, (O, C, 5, 5), over the phases of its input, (O, 4 C, 3, 3).

    Row u of the kernel meets row 2 i + u - 2: phase u mod 2 of row i - 1 + u // 2.
    """
    outputs, inputs = weight.shape[:2]
    phases: Tensor = weight.flatten(2) @ _places()
    return phases.view(outputs, 4 * inputs, 3, 3)


@cache
def _places() -> Tensor:
    """Where each of 25 weights lies among those of the 3 x 3 kernels of four phases, (25, 36)."""
    places = torch.zeros(5, 5, 2, 2, 3, 3)
    for y, x in product(range(5), repeat=2):
        places[y, x, y % 2, x % 2, y // 2, x // 2] = 1.0
    return places.view(25, 36)


def _usable(images: Tensor) -> bool:
    height, width = images.shape[2:]
    even = height % 2 == 0 and width % 2 == 0
    return even and min(height, width) >= LEAST_SIDE and _has_nnpack()


@cache
def _has_nnpack() -> bool:
    return hasattr(torch, "_nnpack_spatial_convolution") and torch._nnpack_available()
