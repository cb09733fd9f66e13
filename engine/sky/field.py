"""One simulated frame: sky, objects, noise, artefacts and cosmic rays put together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from engine.frame import Pixels
from engine.sky.artefacts import (
    artefact_light,
    draw_bleed,
    draw_block,
    draw_ghost,
    draw_glow,
    draw_hot_column,
    draw_streak,
    draw_trail,
)
from engine.sky.conditions import FieldConditions
from engine.sky.cosmicrays import cosmic_ray_hits
from engine.sky.detector import bleed, expose
from engine.sky.extended import draw_extended, paint_extended
from engine.sky.stars import draw_stars, paint_star, point_spread
from engine.sky.truth import ANOMALY_KINDS, GALAXY_KINDS, STAR, SkyObject, Truth

GALAXY_SHARES = (0.45, 0.35, 0.20)
EDGE_MARGIN_PX = 16.0
SEPARATION_PX = 36.0
PLACING_ATTEMPTS = 60
DRAWS = {
    "hot_column": draw_hot_column,
    "trail": draw_trail,
    "streak": draw_streak,
    "ghost": draw_ghost,
    "glow": draw_glow,
    "bleed": draw_bleed,
    "block": draw_block,
}
AFTER_EXPOSURE = ("block",)


@dataclass(frozen=True)
class SimulatedField:
    """A frame with its truth.

    `pixels` and `clean` are float32 (H, W) in electrons; `clean` is the same exposure, with the
    same noise, before particles hit it.
    """

    pixels: Pixels = field(repr=False)
    clean: Pixels = field(repr=False)
    truth: Truth
    conditions: FieldConditions


def simulate_field(
    rng: np.random.Generator,
    conditions: FieldConditions,
    *,
    objects: tuple[SkyObject, ...] | None = None,
) -> SimulatedField:
    """Take one exposure of a random sky, or of the given `objects` (stars and extended ones).

    A pixel counts as hit by a cosmic ray where particles left more than one standard deviation of
    an empty pixel's noise.
    """
    shape = (conditions.size, conditions.size)
    if objects is None:
        objects = (*draw_galaxies(rng, conditions), *draw_stars(rng, conditions))
    flaws = draw_artefacts(rng, conditions)
    expected = sky_level(conditions) + paint(objects, conditions)
    spoiled = np.zeros(shape, dtype=np.bool_)
    coded = np.zeros(shape)
    for flaw in flaws:
        light = artefact_light(flaw, shape)
        (coded if flaw.kind in AFTER_EXPOSURE else expected)[...] += light
        spoiled |= np.abs(light) > 0.5 * conditions.noise_e
    exposed = expose(rng, expected, conditions.read_noise_e) + coded
    recorded, saturated = bleed(exposed, conditions.full_well_e)
    charge, hit = cosmic_ray_hits(
        rng,
        shape,
        conditions.cosmic_ray_rate,
        diffusion_px=conditions.charge_diffusion_px,
        floor_e=conditions.noise_e,
    )
    clean = recorded.astype(np.float32)
    truth = Truth(hit, spoiled | saturated, (*objects, *flaws), conditions.noise_e, charge)
    return SimulatedField(clean + charge, clean, truth, conditions)


def sky_level(conditions: FieldConditions) -> NDArray[np.float64]:
    """The sky background in electrons, shape (H, W), rising along the diagonal."""
    ramp = np.linspace(-0.5, 0.5, conditions.size)
    tilt = 0.5 * (ramp[:, None] + ramp[None, :])
    return conditions.background_e * (1.0 + conditions.background_gradient * tilt)


def paint(objects: tuple[SkyObject, ...], conditions: FieldConditions) -> NDArray[np.float64]:
    """Expected electrons of stars and extended objects through the optics, shape (H, W)."""
    shape = (conditions.size, conditions.size)
    spread = point_spread(conditions)
    extended, points = np.zeros(shape), np.zeros(shape)
    for thing in objects:
        if thing.kind == STAR:
            paint_star(points, thing, spread)
        else:
            paint_extended(extended, thing)
    if extended.any():
        radius = min(int(np.ceil(5 * conditions.fwhm_px)), conditions.size // 2)
        points += np.clip(fftconvolve(extended, spread.kernel(radius), mode="same"), 0.0, None)
    return points


def draw_galaxies(rng: np.random.Generator, conditions: FieldConditions) -> list[SkyObject]:
    """Draw galaxies apart from each other and from the edge, a share of them anomalous."""
    drawn = []
    for x, y in _separate_places(rng, conditions):
        unusual = rng.random() < conditions.anomaly_share
        kind = str(
            rng.choice(ANOMALY_KINDS) if unusual else rng.choice(GALAXY_KINDS, p=GALAXY_SHARES)
        )
        drawn.append(draw_galaxy(rng, kind, x, y, conditions))
    return drawn


def draw_galaxy(
    rng: np.random.Generator, kind: str, x: float, y: float, conditions: FieldConditions
) -> SkyObject:
    """Draw one galaxy of a kind, its size and its signal-to-noise ratio around the median."""
    radius = float(np.clip(rng.lognormal(np.log(4.8), 0.25), 3.0, 8.0))
    snr = conditions.galaxy_snr * rng.lognormal(0.0, 0.5)
    aperture_noise = conditions.noise_e * np.sqrt(np.pi) * 2.0 * radius
    return draw_extended(rng, kind, x, y, radius, float(snr * aperture_noise))


def _separate_places(
    rng: np.random.Generator, conditions: FieldConditions
) -> list[tuple[float, float]]:
    """Up to `n_galaxies` places; fewer where a small frame has no room for more."""
    margin = min(EDGE_MARGIN_PX, conditions.size / 4)
    places: list[tuple[float, float]] = []
    for _ in range(conditions.n_galaxies * PLACING_ATTEMPTS):
        if len(places) == conditions.n_galaxies:
            break
        x, y = rng.uniform(margin, conditions.size - 1 - margin, size=2)
        if all(np.hypot(x - other_x, y - other_y) > SEPARATION_PX for other_x, other_y in places):
            places.append((float(x), float(y)))
    return places


def draw_artefacts(rng: np.random.Generator, conditions: FieldConditions) -> list[SkyObject]:
    """Draw the artefacts that the conditions ask for, kind by kind."""
    return [
        DRAWS[kind](rng, conditions)
        for kind, count in conditions.artefact_counts.items()
        for _ in range(count)
    ]
