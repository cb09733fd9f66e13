"""Cosmic-ray hits: charge packets along a particle's path, with their exact mask.

Three families, as Groom (2002, Experimental Astronomy 14, 45) tells them apart: straight tracks
(muons on the ground, protons in orbit), worms (electrons that Compton scattering set free, curling
through the silicon) and spots (electrons that stop within a pixel or two).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.frame import Mask, Pixels

STEP_PX = 0.25
PACKETS_PER_STEP = 6
LONGEST_TRACK_PX = 400.0
THICKEST_OF_THE_THIN_PX = 0.35

Steps = NDArray[np.float64]
Deposit = tuple[Steps, Steps, Steps, Steps]


@dataclass(frozen=True)
class Silicon:
    """A detector as particles meet it; lengths in pixels, charge in electrons.

    `thickness_px` is the depth that collects charge, `ionisation_e` what a fast particle frees on
    a path of one pixel (about 75 electrons a micron), `spread` the log-normal width of that from
    particle to particle. Directions fall off as cos^n of the zenith angle, `zenith_power` n: 0 in
    orbit, 2 for muons on the ground. `straight`, `worm` and `spot` are shares of the hits.
    Raises ValueError on shares that do not sum to 1 or a detector without depth.
    """

    thickness_px: float
    ionisation_e: float
    spread: float
    zenith_power: float
    straight: float
    worm: float
    spot: float

    def __post_init__(self) -> None:
        if not np.isclose(self.straight + self.worm + self.spot, 1.0):
            raise ValueError("the shares of straight tracks, worms and spots must sum to 1")
        if not (self.thickness_px > 0 and self.ionisation_e > 0):
            raise ValueError("a detector needs a thickness and an ionisation above 0")


THIN = Silicon(
    thickness_px=1.0,
    ionisation_e=1150.0,
    spread=0.45,
    zenith_power=0.0,
    straight=0.87,
    worm=0.05,
    spot=0.08,
)
"""A thinned CCD in orbit: 15 microns of silicon under 15-micron pixels, protons from everywhere."""

THICK = Silicon(
    thickness_px=10.0,
    ionisation_e=760.0,
    spread=0.25,
    zenith_power=2.0,
    straight=0.40,
    worm=0.30,
    spot=0.30,
)
"""A fully depleted CCD on the ground: 100 microns under 10-micron pixels, muons and radioactivity.

About as many Compton electrons as muons, as in darks of such detectors (Groom 2002)."""


def silicon_of(diffusion_px: float) -> Silicon:
    """The kind of detector that spreads charge so far: thin below 0.35 px, thick above."""
    return THIN if diffusion_px < THICKEST_OF_THE_THIN_PX else THICK


def _straight(rng: np.random.Generator, silicon: Silicon) -> Deposit:
    """A fast particle through the whole depth: a line of length thickness * tan(zenith).

    The flux through a surface falls as cos^(n+1) sin, so that cos = u^(1/(n+2)) for uniform u.
    """
    cosine = rng.random() ** (1.0 / (silicon.zenith_power + 2.0))
    across = min(silicon.thickness_px * np.sqrt(1.0 / cosine**2 - 1.0), LONGEST_TRACK_PX)
    path_px = float(np.hypot(across, silicon.thickness_px))
    steps = max(int(path_px / STEP_PX), 4)
    along = np.linspace(0.0, across, steps)
    angle = rng.uniform(0, 2 * np.pi)
    per_px = silicon.ionisation_e * rng.lognormal(0.0, silicon.spread)
    charge = path_px / steps * per_px * _fluctuation(rng, steps)
    return along * np.cos(angle), along * np.sin(angle), np.linspace(0.0, 1.0, steps), charge


def _worm(rng: np.random.Generator, silicon: Silicon) -> Deposit:
    """A slow electron on a random walk, freeing more and turning more towards its end.

    It starts at a random depth and ends where its range does or where it leaves the silicon.
    """
    range_px = 6.0 + rng.exponential(30.0)
    steps = int(range_px / STEP_PX)
    left = np.linspace(1.0, 1.0 / steps, steps)
    turning = 0.09 / np.sqrt(left)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 1, steps) * turning)
    climb = np.arcsin(rng.uniform(-1, 1)) + np.cumsum(rng.normal(0, 1, steps) * turning)
    x = np.cumsum(STEP_PX * np.cos(climb) * np.cos(heading))
    y = np.cumsum(STEP_PX * np.cos(climb) * np.sin(heading))
    depth = rng.random() + np.cumsum(STEP_PX * np.sin(climb)) / silicon.thickness_px
    outside = np.flatnonzero((depth < 0) | (depth > 1))
    stop = max(int(outside[0]) if outside.size else steps, 2)
    charge = STEP_PX * silicon.ionisation_e * left**-0.4 * _fluctuation(rng, steps)
    return x[:stop], y[:stop], np.clip(depth[:stop], 0.0, 1.0), charge[:stop]


def _spot(rng: np.random.Generator, silicon: Silicon) -> Deposit:
    """An electron that stops where it was set free: one packet of charge at some depth."""
    steps = 4
    charge = np.full(steps, rng.lognormal(np.log(silicon.ionisation_e), 0.8) / steps)
    return np.zeros(steps), np.zeros(steps), np.full(steps, rng.random()), charge


def _fluctuation(rng: np.random.Generator, steps: int) -> Steps:
    """Energy-loss fluctuations with a heavy right tail, mean near 1."""
    return rng.lognormal(-0.18, 0.6, steps)


FAMILIES = (_straight, _worm, _spot)


def cosmic_ray_hits(
    rng: np.random.Generator,
    shape: tuple[int, int],
    rate: float,
    *,
    diffusion_px: float = 0.3,
    floor_e: float = 10.0,
    silicon: Silicon | None = None,
) -> tuple[Pixels, Mask]:
    """Draw the charge that particles leave in one exposure.

    `rate` is hits per megapixel. Each step of a particle's path frees packets of charge that
    spread before a pixel collects them, by `diffusion_px` on average and as the square root of
    their depth; `silicon` is the detector, by default the kind that spreads charge so far. Returns
    the charge, float32 (H, W) in electrons, and the mask of pixels with more than `floor_e`
    electrons, bool (H, W).
    """
    height, width = shape
    silicon = silicon or silicon_of(diffusion_px)
    charge = np.zeros(height * width)
    shares = (silicon.straight, silicon.worm, silicon.spot)
    for family in rng.choice(
        len(FAMILIES), size=rng.poisson(rate * height * width / 1e6), p=shares
    ):
        x, y, depth, deposit = FAMILIES[family](rng, silicon)
        x = x + rng.uniform(-0.5, width - 0.5)
        y = y + rng.uniform(-0.5, height - 0.5)
        spread = diffusion_px * np.sqrt(0.3 + 1.4 * depth)
        wander = rng.normal(0, 1, size=(2, PACKETS_PER_STEP, x.size)) * spread
        columns = np.rint(x + wander[0]).astype(np.int64)
        rows = np.rint(y + wander[1]).astype(np.int64)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        packets = np.broadcast_to(deposit / PACKETS_PER_STEP, inside.shape)
        np.add.at(charge, (rows * width + columns)[inside], packets[inside])
    image = charge.reshape(shape).astype(np.float32)
    return image, image > floor_e
