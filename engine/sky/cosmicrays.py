"""Cosmic-ray hits: charge packets along a particle's path, with their exact mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.frame import Mask, Pixels

STEP_PX = 0.25
PACKETS_PER_STEP = 6

Steps = NDArray[np.float64]
Deposit = tuple[Steps, Steps, Steps]


def _point(rng: np.random.Generator) -> Deposit:
    """A particle that comes straight down: a few pixels."""
    charge = rng.lognormal(np.log(1200), 0.8)
    steps = int(rng.integers(2, 6))
    return _straight(rng, np.full(steps, charge / steps))


def _short_track(rng: np.random.Generator) -> Deposit:
    """A slanted particle: 2 to 12 pixels."""
    return _track(rng, length_px=2.0 + rng.exponential(3.0), charge_per_px=rng.lognormal(6.4, 0.5))


def _muon(rng: np.random.Generator) -> Deposit:
    """A grazing muon: a long straight line of even charge."""
    return _track(
        rng, length_px=12.0 + rng.exponential(35.0), charge_per_px=rng.lognormal(6.0, 0.4)
    )


def _worm(rng: np.random.Generator) -> Deposit:
    """A slow electron that scatters its way through the silicon, depositing more near its end."""
    steps = int((8.0 + rng.exponential(20.0)) / STEP_PX)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.22, steps))
    x, y = np.cumsum(STEP_PX * np.cos(heading)), np.cumsum(STEP_PX * np.sin(heading))
    rising = np.linspace(0.6, 1.8, steps)
    return x, y, STEP_PX * rng.lognormal(6.2, 0.4) * rising * _fluctuation(rng, steps)


def _track(rng: np.random.Generator, length_px: float, charge_per_px: float) -> Deposit:
    steps = max(int(length_px / STEP_PX), 2)
    return _straight(rng, STEP_PX * charge_per_px * _fluctuation(rng, steps))


def _straight(rng: np.random.Generator, charge: Steps) -> Deposit:
    along = STEP_PX * np.arange(charge.size)
    angle = rng.uniform(0, 2 * np.pi)
    return along * np.cos(angle), along * np.sin(angle), charge


def _fluctuation(rng: np.random.Generator, steps: int) -> Steps:
    """Energy-loss fluctuations with a heavy right tail, mean near 1."""
    return rng.lognormal(-0.18, 0.6, steps)


FAMILIES: dict[str, tuple[float, Callable[[np.random.Generator], Deposit]]] = {
    "point": (0.55, _point),
    "short_track": (0.33, _short_track),
    "muon": (0.05, _muon),
    "worm": (0.07, _worm),
}


def cosmic_ray_hits(
    rng: np.random.Generator,
    shape: tuple[int, int],
    rate: float,
    *,
    diffusion_px: float = 0.3,
    floor_e: float = 10.0,
) -> tuple[Pixels, Mask]:
    """Draw the charge that particles leave in one exposure.

    `rate` is hits per megapixel. Each step of a particle's path frees packets of charge that
    spread by `diffusion_px` before a pixel collects them. Returns the charge, float32 (H, W) in
    electrons, and the mask of pixels with more than `floor_e` electrons, bool (H, W).
    """
    height, width = shape
    charge = np.zeros(height * width)
    names = list(FAMILIES)
    shares = [FAMILIES[name][0] for name in names]
    for name in rng.choice(names, size=rng.poisson(rate * height * width / 1e6), p=shares):
        x, y, deposit = FAMILIES[name][1](rng)
        x = x + rng.uniform(-0.5, width - 0.5)
        y = y + rng.uniform(-0.5, height - 0.5)
        spread = diffusion_px * rng.uniform(0.6, 1.4)
        wander = rng.normal(0, spread, size=(2, PACKETS_PER_STEP, x.size))
        columns = np.rint(x + wander[0]).astype(np.int64)
        rows = np.rint(y + wander[1]).astype(np.int64)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        packets = np.broadcast_to(deposit / PACKETS_PER_STEP, inside.shape)
        np.add.at(charge, (rows * width + columns)[inside], packets[inside])
    image = charge.reshape(shape).astype(np.float32)
    return image, image > floor_e
