"""One exposure before any hit: what patches are cut from, whoever took it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.cosmicrays.scaling import NoiseScale
from engine.frame import Mask, Pixels

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Exposure:
    """A window in electrons, all planes (P, P).

    `noise` is the part of `pixels` that another exposure would not repeat, zero where nobody knows
    it; `sigma` the noise that labels are measured against; `ignore` pixels are never scored;
    `truth` holds hits that the exposure has already, if they are labelled.
    """

    pixels: Pixels
    noise: Pixels
    sigma: Pixels
    ignore: Mask
    scale: NoiseScale
    truth: Mask | None = None


class Scene(Protocol):
    """Something that can be exposed: a simulated field, or a real frame."""

    def exposure(self, rng: np.random.Generator, side: int) -> Exposure:
        """A window of `side` pixels at a random place."""
        ...


def window_of(rng: np.random.Generator, shape: tuple[int, ...], side: int) -> Window:
    """A random square window of `side` pixels. Raises ValueError where it does not fit."""
    if min(shape) < side:
        raise ValueError(f"a patch of {side} pixels does not fit into {shape}: use smaller patches")
    row, column = (int(rng.integers(length - side + 1)) for length in shape)
    return slice(row, row + side), slice(column, column + side)
