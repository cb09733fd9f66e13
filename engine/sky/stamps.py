"""Noisy stamps of single objects, for training and testing classifiers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.frame import Pixels
from engine.sky.conditions import FieldConditions
from engine.sky.extended import MORPHOLOGIES
from engine.sky.field import draw_galaxy, simulate_field
from engine.sky.truth import STAR, SkyObject

STAMP_KINDS = (STAR, *MORPHOLOGIES)


def galaxy_stamp(
    rng: np.random.Generator,
    kind: str,
    size: int = 64,
    *,
    conditions: FieldConditions | None = None,
    cosmic_ray_rate: float = 0.0,
) -> Pixels:
    """Draw a noisy stamp of one object of a kind in STAMP_KINDS, near its middle.

    Returns float32 (size, size) in electrons, sky included. Its half-light radius and
    signal-to-noise ratio are drawn like those of a field's galaxies. Raises ValueError on another
    kind.
    """
    if kind not in STAMP_KINDS:
        raise ValueError(f"no stamp of kind {kind!r}: choose from {STAMP_KINDS}")
    base = conditions or FieldConditions(fwhm_px=float(rng.uniform(1.8, 2.8)))
    alone = replace(base, size=size, cosmic_ray_rate=cosmic_ray_rate, n_hot_columns=0, n_trails=0)
    x, y = (size - 1) / 2 + rng.uniform(-1, 1, size=2)
    thing = draw_galaxy(rng, "elliptical" if kind == STAR else kind, float(x), float(y), alone)
    if kind == STAR:
        thing = SkyObject(STAR, thing.x, thing.y, alone.fwhm_px, thing.flux_e)
    return simulate_field(rng, alone, objects=(thing,)).pixels
