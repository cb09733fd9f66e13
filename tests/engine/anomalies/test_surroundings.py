"""What an artefact shows beyond one footprint, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from engine.anomalies.artefacts.surroundings import (
    NAMES,
    footprint_pixels,
    surroundings_table,
)
from engine.anomalies.cutouts import Cutout

SIDE = 96
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float64)
SKY = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 0.3, (SIDE, SIDE)), 0.5)
GOOD = np.ones((SIDE, SIDE), np.bool_)


def line(angle: float, first: float, last: float, height: float = 20.0) -> np.ndarray:
    """A straight line of PSF width through the middle, between two distances from it."""
    along = (X - 48) * np.cos(angle) + (Y - 48) * np.sin(angle)
    across = -(X - 48) * np.sin(angle) + (Y - 48) * np.cos(angle)
    lit = (along >= first) & (along <= last)
    return np.asarray(height * np.exp(-0.5 * (across / 1.2) ** 2) * lit)


def cutout_of(light: np.ndarray, where: np.ndarray | None = None, size: int = 96) -> Cutout:
    """A cutout whose footprint is what shines, or that part of it."""
    own = (light > 1.2) if where is None else (light > 1.2) & where
    y, x = (round(float(part.mean())) for part in np.nonzero(own))
    rows, columns = (np.arange(c - size // 2, c + size // 2) for c in (y, x))
    inside = np.pad(own, size)[np.ix_(rows + size, columns + size)]
    pixels = np.zeros((size, size), np.float32)
    return Cutout("source", x, y, size, pixels, 0, 1, 1, stretched=False, footprint=inside,
                  area_px=int(own.sum()))  # fmt: skip


def features(light: np.ndarray, *cutouts: Cutout) -> list[dict[str, float]]:
    table = surroundings_table(light + SKY, GOOD, cutouts)
    assert table.shape == (len(cutouts), len(NAMES))
    assert np.isfinite(table).all()
    return [dict(zip(NAMES, row, strict=True)) for row in table]


def test_a_footprint_knows_its_pixels_beyond_the_edge_too() -> None:
    own = np.ones((4, 4), np.bool_)
    cutout = Cutout("source", 0, 0, 4, np.zeros((4, 4), np.float32), 0, 1, 1,
                    stretched=False, footprint=own)  # fmt: skip
    rows, columns = footprint_pixels(cutout, (SIDE, SIDE))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1)
    ]  # fmt: skip


def test_a_piece_of_a_trail_belongs_to_a_long_island_and_goes_on() -> None:
    trail = line(0.3, -90, 90)
    left, right = (cutout_of(trail, X < 48), cutout_of(trail, X >= 48))
    for piece in features(trail, left, right):
        assert piece["island_members"] == 2
        assert piece["island_elongation"] > 12
        assert piece["island_over_own"] > 0.2
        assert piece["island_border"] > 0
        assert piece["beyond_most"] > 3
        assert piece["bend"] < 1


def test_a_streak_ends_and_is_straight_and_a_dashed_one_goes_on() -> None:
    (whole,) = features(line(0.5, -15, 15), cutout_of(line(0.5, -15, 15)))
    assert whole["island_members"] == 1
    assert abs(whole["beyond_most"]) < 2
    assert whole["ridge_rough"] < 0.5
    dashes = line(0.5, -14, 0) + line(0.5, 7, 21) + line(0.5, 28, 42)
    (dash,) = features(dashes, cutout_of(dashes, X * np.cos(0.5) + Y * np.sin(0.5) < 66))
    assert dash["beyond_most"] > 3
    assert dash["beyond_least"] < 2


def test_an_arc_bends_where_a_streak_does_not() -> None:
    radius, turn = np.hypot(X - 48, Y - 48), np.arctan2(Y - 48, X - 48)
    arc = 20 * np.exp(-0.5 * ((radius - 20) / 1.2) ** 2) * (np.abs(turn) < 0.9)
    (bent,), (straight,) = (features(light, cutout_of(light)) for light in (arc, line(1, -18, 18)))
    # The sagitta of an arc of 20 px over +-0.9 rad is 20 (1 - cos 0.9) = 7.6 px.
    assert bent["bend"] == pytest.approx(7.6, abs=2)
    assert bent["ridge_rough"] > 4 * straight["ridge_rough"]
    assert straight["bend"] < 1
    assert bent["across"] == pytest.approx(straight["across"], abs=1)


def test_a_ghost_has_a_cliff_and_a_hole_where_a_galaxy_fades() -> None:
    radius = np.hypot(X - 48, Y - 48)
    ghost = np.where((radius < 18) & (radius > 7), 6.0, 0.0)
    galaxy = 40 * np.exp(-radius / 5)
    (disc,), (fading,) = (features(light, cutout_of(light)) for light in (ghost, galaxy))
    assert disc["rim_inside"] > 0.8
    assert fading["rim_inside"] < 0.7
    assert disc["island_centre"] < 0.3
    assert fading["island_centre"] > 3
    assert disc["island_flat"] > 2 * fading["island_flat"]


def test_a_coder_block_jumps_at_its_grid() -> None:
    block = np.zeros((SIDE, SIDE))
    block[32:48, 48:64] = 8 + 3 * np.cos(np.pi * X[32:48, 48:64] / 16)
    star = 40 * np.exp(-((X - 40) ** 2 + (Y - 40) ** 2) / 8)
    (coded,), (point,) = (features(light, cutout_of(light)) for light in (block, star))
    assert coded["grid_step"] > 4
    assert point["grid_step"] < 2


def test_nothing_above_the_sky_has_no_island() -> None:
    spot = np.where(np.hypot(X - 20, Y - 20) < 3, 10.0, 0.0)
    cutout = cutout_of(spot)
    (found,) = features(np.zeros((SIDE, SIDE)), cutout)
    assert found["island_area"] == found["island_members"] == found["rim_inside"] == 0
    assert surroundings_table(spot, GOOD, []).shape == (0, len(NAMES))
