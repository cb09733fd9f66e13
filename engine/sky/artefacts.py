"""Instrument artefacts: what a camera, its optics or its coder leave behind that is no object."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.sky.conditions import FieldConditions
from engine.sky.truth import SkyObject

Light = NDArray[np.float64]

BLOCK_SIDES = (8, 16, 32)
BLOCK_WAVES = 6


def draw_hot_column(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw a column that leaks charge from one row upward."""
    size = conditions.size
    column, first_row = int(rng.integers(0, size)), int(rng.integers(0, max(size // 2, 1)))
    level = conditions.noise_e * float(rng.uniform(5, 40))
    return SkyObject(
        "hot_column",
        float(column),
        0.5 * (first_row + size - 1),
        1.0,
        level * (size - first_row),
        parameters={"first_row": float(first_row), "level_e": level},
    )


def draw_trail(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw a satellite that crosses the whole frame in a straight line."""
    middle = rng.uniform(0.2, 0.8, size=2) * (conditions.size - 1)
    level = conditions.noise_e * float(rng.uniform(4, 30))
    sigma = max(conditions.fwhm_px / 2.355, 0.5) * float(rng.uniform(1.0, 1.8))
    return SkyObject(
        "trail",
        float(middle[0]),
        float(middle[1]),
        2.355 * sigma,
        level * np.sqrt(2 * np.pi) * sigma * conditions.size,
        parameters={"angle": float(rng.uniform(0, np.pi)), "level_e": level, "sigma_px": sigma},
    )


def draw_streak(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw a satellite or debris that flashes while it moves: a short line, at times dashed."""
    x, y = rng.uniform(0, conditions.size - 1, size=2)
    level = conditions.noise_e * float(rng.uniform(4, 30))
    sigma = max(conditions.fwhm_px / 2.355, 0.5) * float(rng.uniform(0.9, 1.4))
    length = float(rng.uniform(12, 80))
    return SkyObject(
        "streak",
        float(x),
        float(y),
        2.355 * sigma,
        level * np.sqrt(2 * np.pi) * sigma * length,
        parameters={
            "angle": float(rng.uniform(0, np.pi)),
            "level_e": level,
            "sigma_px": sigma,
            "length_px": length,
            "dash_px": float(rng.uniform(8, 20)) if rng.random() < 0.4 else 0.0,
        },
    )


def draw_ghost(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw an out-of-focus reflection of a bright star: the pupil with its central obstruction."""
    x, y = rng.uniform(0, conditions.size - 1, size=2)
    radius = float(rng.uniform(7, 28))
    hole = radius * float(rng.uniform(0.25, 0.55))
    level = conditions.noise_e * float(rng.uniform(1.5, 8))
    return SkyObject(
        "ghost",
        float(x),
        float(y),
        radius,
        level * np.pi * (radius**2 - hole**2),
        parameters={
            "radius_px": radius,
            "hole_px": hole,
            "level_e": level,
            "tilt": float(rng.uniform(0, 0.4)),
            "angle": float(rng.uniform(0, 2 * np.pi)),
            "vane_px": float(rng.uniform(0, 1.5)),
        },
    )


def draw_glow(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw the glow of an amplifier, or scattered light, at an edge of the frame."""
    size, along = conditions.size, float(rng.uniform(0, conditions.size - 1))
    x, y = [(along, 0.0), (along, size - 1.0), (0.0, along), (size - 1.0, along)][
        int(rng.integers(4))
    ]
    reach, level = float(rng.uniform(3, 14)), conditions.noise_e * float(rng.uniform(4, 25))
    return SkyObject(
        "glow",
        x,
        y,
        reach,
        level * np.pi * reach**2,
        parameters={
            "reach_px": reach,
            "stretch": float(rng.uniform(1, 3)),
            "level_e": level,
            "upright": float(x in (0.0, size - 1.0)),
        },
    )


def draw_bleed(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw a column that a star far beyond the full well spilled its charge into."""
    x, y = rng.uniform(6, max(conditions.size - 7, 7), size=2)
    level = conditions.full_well_e
    length, width = float(rng.uniform(12, 90)), float(rng.integers(1, 4))
    return SkyObject(
        "bleed",
        float(round(x)),
        float(round(y)),
        conditions.fwhm_px,
        level * length * width,
        parameters={
            "length_px": length,
            "width_px": width,
            "level_e": level,
            "sigma_px": conditions.fwhm_px / 2.355,
        },
    )


def draw_block(rng: np.random.Generator, conditions: FieldConditions) -> SkyObject:
    """Draw what a coarse or damaged block of a transform coder decodes to: waves in a square."""
    side = float(rng.choice(BLOCK_SIDES))
    column, row = (float(rng.integers(0, max(int(conditions.size // side), 1))) for _ in range(2))
    level = conditions.noise_e * float(rng.uniform(3, 14))
    waves = {
        f"{name}{number}": float(value)
        for number in range(BLOCK_WAVES)
        for name, value in zip(
            ("row", "column", "weight"),
            (*rng.integers(0, 5, size=2), rng.normal(0, 1)),
            strict=True,
        )
    }
    return SkyObject(
        "block",
        side * (column + 0.5) - 0.5,
        side * (row + 0.5) - 0.5,
        side,
        level * side**2,
        parameters={"side_px": side, "level_e": level, **waves},
    )


def artefact_light(artefact: SkyObject, shape: tuple[int, int]) -> Light:
    """Electrons of one artefact, float64 (H, W): expected ones, and for "block" exact ones that
    may be negative. Raises ValueError on an unknown kind."""
    if artefact.kind not in LIGHTS:
        raise ValueError(f"no artefact of kind {artefact.kind!r}: choose {', '.join(LIGHTS)}")
    return LIGHTS[artefact.kind](artefact, *np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64))


def _hot_column(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    has = flaw.parameters
    return np.asarray(has["level_e"] * ((columns == flaw.x) & (rows >= has["first_row"])))


def _trail(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    _, across = _axes(flaw, rows, columns)
    has = flaw.parameters
    return np.asarray(has["level_e"] * np.exp(-0.5 * (across / has["sigma_px"]) ** 2))


def _streak(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    along, across = _axes(flaw, rows, columns)
    has = flaw.parameters
    beyond = np.maximum(np.abs(along) - has["length_px"] / 2, 0.0)
    light = has["level_e"] * np.exp(-0.5 * (across**2 + beyond**2) / has["sigma_px"] ** 2)
    if has["dash_px"] > 0:
        light = light * (0.5 + 0.5 * np.cos(2 * np.pi * along / has["dash_px"]))
    return np.asarray(light)


def _ghost(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    has = flaw.parameters
    along, across = _axes(flaw, rows, columns)
    radius = np.hypot(along, across)
    inside = _step(has["radius_px"] - radius) * _step(radius - has["hole_px"])
    slope = 1.0 + has["tilt"] * along / has["radius_px"]
    vanes = (np.abs(along) < has["vane_px"] / 2) | (np.abs(across) < has["vane_px"] / 2)
    return np.asarray(has["level_e"] * inside * slope * np.where(vanes, 0.3, 1.0))


def _glow(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    has = flaw.parameters
    wide, deep = has["reach_px"] * has["stretch"], has["reach_px"]
    dx, dy = np.abs(columns - flaw.x), np.abs(rows - flaw.y)
    along, away = (dy, dx) if has["upright"] else (dx, dy)
    return np.asarray(has["level_e"] * np.exp(-0.5 * (along / wide) ** 2 - away / deep))


def _bleed(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    has = flaw.parameters
    dx, dy = columns - flaw.x, rows - flaw.y
    half = has["width_px"] / 2
    spilled = (np.abs(dx) <= half) & (np.abs(dy) <= has["length_px"] / 2)
    wings = 1.5 * np.exp(-0.5 * (dx**2 + dy**2) / (1.6 * has["sigma_px"]) ** 2)
    return np.asarray(has["level_e"] * np.maximum(1.05 * spilled, wings))


def _block(flaw: SkyObject, rows: Light, columns: Light) -> Light:
    has, side = flaw.parameters, flaw.parameters["side_px"]
    v, u = (rows - flaw.y) / side + 0.5, (columns - flaw.x) / side + 0.5
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    pattern = np.zeros_like(rows)
    for number in range(BLOCK_WAVES):
        wave = np.cos(np.pi * has[f"row{number}"] * v) * np.cos(np.pi * has[f"column{number}"] * u)
        pattern += has[f"weight{number}"] * wave
    top = float(np.abs(pattern[inside]).max()) if inside.any() else 0.0
    return np.where(inside, has["level_e"] * pattern / max(top, 1e-9), 0.0)


LIGHTS: dict[str, Callable[[SkyObject, Light, Light], Light]] = {
    "hot_column": _hot_column,
    "trail": _trail,
    "streak": _streak,
    "ghost": _ghost,
    "glow": _glow,
    "bleed": _bleed,
    "block": _block,
}


def _axes(flaw: SkyObject, rows: Light, columns: Light) -> tuple[Light, Light]:
    """Coordinates along and across the artefact's axis."""
    sin, cos = np.sin(flaw.parameters["angle"]), np.cos(flaw.parameters["angle"])
    dx, dy = columns - flaw.x, rows - flaw.y
    return dx * cos + dy * sin, -dx * sin + dy * cos


def _step(distance: Light) -> Light:
    """0 outside and 1 inside, over about a pixel."""
    return np.clip(distance + 0.5, 0.0, 1.0)
