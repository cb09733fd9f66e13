"""The learned fill: a small network that predicts one pixel from the good ones around it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.cards import WEIGHTS, read_card
from engine.cosmicrays.neighbourhoods import Neighbourhoods, Places, neighbourhoods, offsets
from engine.errors import ModelError
from engine.frame import Mask, Pixels

NAME = "cosmicrays-fill"
RADIUS_PX = 5
HIDDEN = 96
KERNEL_PX = 1.5
FEWEST_GOOD = 12
LEAST_SPREAD = 1e-6


class FillNet(nn.Module):
    """Three layers from an 11 x 11 window and its mask to the pixel in the middle.

    Input (n, 242): arcsinh of the window in units of its own spread about its own level, 0 on
    masked pixels, then 1 where a pixel is good. Output (n,): the pixel in the same linear units.
    So the fill does not depend on a frame's unit, level or noise.
    """

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * (2 * RADIUS_PX + 1) ** 2, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.sinh(self.layers(x)[:, 0].clamp(-8, 8))
        return out


def window_kernel() -> NDArray[np.float32]:
    """Weights of a window's pixels in its level and spread, float32 (121,)."""
    down, across = (offset.ravel() for offset in offsets(RADIUS_PX))
    kernel: NDArray[np.float32] = np.exp(-(down**2 + across**2) / (2 * KERNEL_PX**2)).astype(
        np.float32
    )
    return kernel


def normalised(
    around: Neighbourhoods,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The network's input (n, 242), each window's level and spread (n,), and whether it has both.

    The level is the mean of the good pixels with Gaussian weights, the spread the root mean square
    about it with the square root of those weights.
    """
    near = around.good * window_kernel()
    wide = around.good * np.sqrt(window_kernel())
    enough = around.good.sum(axis=1) >= FEWEST_GOOD
    level = (near * around.values).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-12)
    away = np.where(around.good, around.values - level[:, None], np.float32(0))
    spread = np.sqrt((wide * away**2).sum(axis=1) / np.maximum(wide.sum(axis=1), 1e-12))
    enough &= (near.sum(axis=1) > LEAST_SPREAD) & (spread > LEAST_SPREAD * (1 + np.abs(level)))
    units = np.arcsinh(away / np.where(enough, spread, 1)[:, None])
    x = np.concatenate([units, around.good], axis=1).astype(np.float32)
    return x, level.astype(np.float32), spread.astype(np.float32), enough


@torch.inference_mode()
def learned_values(net: FillNet, pixels: Pixels, good: Mask, places: Places) -> NDArray[np.float32]:
    """What the network expects at each place, float32 (n,); NaN where a window has too little."""
    values = np.full(places[0].size, np.nan, dtype=np.float32)
    for around in neighbourhoods(pixels, good, places, RADIUS_PX):
        x, level, spread, enough = normalised(around)
        expected = level + spread * net(torch.from_numpy(x)).numpy()
        values[around.part] = np.where(enough, expected, np.float32(np.nan))
    return values


@lru_cache(maxsize=4)
def shipped_fill_net(folder: Path = WEIGHTS) -> FillNet:
    """The network that skysieve ships. Raises ModelError when it or its card is missing."""
    card = read_card(NAME, folder)
    net = FillNet(int(card.architecture["hidden"]))
    try:
        net.load_state_dict(load_file(folder / f"{NAME}.safetensors"))
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {NAME} do not fit its card ({error}): train it again"
        ) from error
    return net.eval()
