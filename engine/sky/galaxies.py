"""Ordinary galaxies: ellipticals, spirals and barred spirals."""

from __future__ import annotations

import numpy as np

from engine.sky.profiles import Grid, Parameters, elliptical_radius, mixed, rotated, sersic


def draw_elliptical(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of a smooth galaxy."""
    return {
        "radius_px": radius_px,
        "index": float(rng.uniform(2.0, 4.5)),
        "axis_ratio": float(rng.uniform(0.55, 1.0)),
        "angle": float(rng.uniform(0, np.pi)),
    }


def elliptical(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of a Sersic ellipsoid."""
    radius = elliptical_radius(dx, dy, shape["axis_ratio"], shape["angle"])
    return sersic(radius, shape["radius_px"], shape["index"])


def draw_spiral(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of a disk with logarithmic arms and a bulge."""
    return {
        "radius_px": radius_px,
        "axis_ratio": float(rng.uniform(0.35, 1.0)),
        "angle": float(rng.uniform(0, np.pi)),
        "arms": float(rng.choice([2, 2, 2, 3, 4])),
        "winding": float(rng.choice([-1, 1]) / np.tan(np.radians(rng.uniform(12, 28)))),
        "phase": float(rng.uniform(0, 2 * np.pi)),
        "arm_contrast": float(rng.uniform(0.6, 0.95)),
        "bulge_share": float(rng.uniform(0.05, 0.3)),
    }


def spiral(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of an exponential disk times cos(m (theta - ln r / tan pitch)) arms."""
    along, across = rotated(dx, dy, shape["angle"])
    across = across / shape["axis_ratio"]
    radius = np.sqrt(along**2 + across**2 + 0.04)
    scale = shape["radius_px"]
    turn = np.arctan2(across, along) - shape["winding"] * np.log(radius / scale) - shape["phase"]
    crest = 0.5 * (1.0 + np.cos(shape["arms"] * turn))
    outside_bulge = 1.0 - np.exp(-((radius / (0.5 * scale)) ** 2))
    arms = 1.0 + shape["arm_contrast"] * outside_bulge * (2.2 * crest**2 - 1.0)
    disk = sersic(radius, scale, 1.0) * np.clip(arms, 0.0, None)
    return mixed(disk, sersic(radius, 0.25 * scale, 2.0), shape["bulge_share"])


def draw_barred(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of a spiral whose two arms start at the ends of a bar."""
    shape = draw_spiral(rng, radius_px)
    return shape | {
        "arms": 2.0,
        "phase": 0.0,
        "axis_ratio": float(rng.uniform(0.6, 1.0)),
        "bar_share": float(rng.uniform(0.2, 0.4)),
        "bar_ratio": float(rng.uniform(0.2, 0.35)),
    }


def barred(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of a two-armed spiral with a boxy bar along its major axis."""
    along, across = rotated(dx, dy, shape["angle"])
    half_length = 0.9 * shape["radius_px"]
    box = (np.abs(along) / half_length) ** 3
    box = box + (np.abs(across) / (half_length * shape["bar_ratio"])) ** 3
    return mixed(spiral(dx, dy, shape), np.exp(-box), shape["bar_share"])
