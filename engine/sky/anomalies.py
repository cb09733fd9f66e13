"""Rare galaxies worth finding: rings, lensed arcs and mergers with tidal tails."""

from __future__ import annotations

import numpy as np

from engine.sky.profiles import Grid, Parameters, blob, elliptical_radius, mixed, rotated, sersic


def draw_ring(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of a collisional ring around a small core."""
    return {
        "radius_px": radius_px,
        "ring_px": radius_px * float(rng.uniform(1.4, 2.0)),
        "width_px": radius_px * float(rng.uniform(0.18, 0.3)),
        "axis_ratio": float(rng.uniform(0.6, 1.0)),
        "angle": float(rng.uniform(0, np.pi)),
        "ring_share": float(rng.uniform(0.6, 0.85)),
        "lopsided": float(rng.uniform(0, 0.5)),
    }


def ring(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of a Gaussian annulus, brighter on one side, with a core."""
    along, _ = rotated(dx, dy, shape["angle"])
    radius = elliptical_radius(dx, dy, shape["axis_ratio"], shape["angle"])
    annulus = np.exp(-((radius - shape["ring_px"]) ** 2) / (2 * shape["width_px"] ** 2))
    annulus = annulus * (1.0 + shape["lopsided"] * along / radius)
    core = sersic(radius, 0.35 * shape["radius_px"], 2.0)
    return mixed(core, annulus, shape["ring_share"])


def draw_arc(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of an elliptical lens with a compact source behind it."""
    einstein = radius_px * float(rng.uniform(1.6, 2.3))
    return {
        "radius_px": radius_px,
        "einstein_px": einstein,
        "source_px": einstein * float(rng.uniform(0.08, 0.16)),
        "offset_px": einstein * float(rng.uniform(0.1, 0.45)),
        "angle": float(rng.uniform(0, 2 * np.pi)),
        "axis_ratio": float(rng.uniform(0.7, 1.0)),
        "shear": float(rng.uniform(0.0, 0.08)),
        "arc_share": float(rng.uniform(0.4, 0.65)),
    }


def arc(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of a galaxy and the image of a source that it lenses.

    Rays are traced back through a singular isothermal sphere with external shear:
    beta = theta - theta_E theta/|theta| - gamma (theta_x, -theta_y)
    (Schneider, Ehlers & Falco 1992, Gravitational Lenses).
    """
    along, across = rotated(dx, dy, shape["angle"])
    radius = np.sqrt(along**2 + across**2 + 0.04)
    pull = 1.0 - shape["einstein_px"] / radius
    source_x = along * (pull - shape["shear"]) - shape["offset_px"]
    source_y = across * (pull + shape["shear"])
    image = blob(source_x, source_y, shape["source_px"])
    lens_radius = elliptical_radius(dx, dy, shape["axis_ratio"], shape["angle"])
    return mixed(sersic(lens_radius, 0.6 * shape["radius_px"], 3.0), image, shape["arc_share"])


def draw_merger(rng: np.random.Generator, radius_px: float) -> dict[str, float]:
    """Shape of two colliding galaxies with two tidal tails."""
    return {
        "radius_px": radius_px,
        "separation_px": radius_px * float(rng.uniform(1.2, 2.2)),
        "angle": float(rng.uniform(0, 2 * np.pi)),
        "mass_ratio": float(rng.uniform(0.3, 0.5)),
        "tail_share": float(rng.uniform(0.35, 0.55)),
        "tail_turn": float(rng.choice([-1, 1]) * rng.uniform(1.2, 2.4)),
        "tail_length_px": radius_px * float(rng.uniform(2.5, 4.0)),
    }


def merger(dx: Grid, dy: Grid, shape: Parameters) -> Grid:
    """Surface brightness of two cores and the curved tails that they pull out."""
    along, across = rotated(dx, dy, shape["angle"])
    half = 0.5 * shape["separation_px"]
    scale = shape["radius_px"]
    first = sersic(elliptical_radius(along - half, across, 0.7, 0.6), 0.6 * scale, 2.0)
    second = sersic(elliptical_radius(along + half, across, 0.8, -0.9), 0.5 * scale, 1.5)
    cores = mixed(first, second, shape["mass_ratio"])
    tails = _tail(along - half, across, shape) + 0.7 * _tail(-along - half, -across, shape)
    return mixed(cores, tails, shape["tail_share"])


def _tail(along: Grid, across: Grid, shape: Parameters) -> Grid:
    """A stream that leaves the origin along y and bends by `tail_turn` radians, fading outward."""
    radius = np.sqrt(along**2 + across**2 + 0.04)
    length = shape["tail_length_px"]
    bearing = np.arctan2(across, along) - np.pi / 2 - shape["tail_turn"] * (radius / length - 0.5)
    deviation = radius * np.angle(np.exp(1j * bearing))
    width = 0.25 * shape["radius_px"] + 0.08 * radius
    light: Grid = np.exp(-0.5 * (deviation / width) ** 2 - (radius / length) ** 3)
    return light
