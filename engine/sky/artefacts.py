"""Instrument artefacts: hot columns and satellite trails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.sky.conditions import FieldConditions
from engine.sky.truth import SkyObject


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


def artefact_light(artefact: SkyObject, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Expected electrons of one artefact, shape (H, W). Raises ValueError on an unknown kind."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    has = artefact.parameters
    light: NDArray[np.float64]
    if artefact.kind == "hot_column":
        light = has["level_e"] * ((columns == artefact.x) & (rows >= has["first_row"]))
        return light
    if artefact.kind == "trail":
        sin, cos = np.sin(has["angle"]), np.cos(has["angle"])
        distance = -(columns - artefact.x) * sin + (rows - artefact.y) * cos
        light = has["level_e"] * np.exp(-0.5 * (distance / has["sigma_px"]) ** 2)
        return light
    raise ValueError(f"no artefact of kind {artefact.kind!r}: choose hot_column or trail")
