from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.sky_map import field_chart, mollweide, sky_chart

DEG = 180 / math.pi
HALF_WIDTH = 2 * math.sqrt(2) * DEG
HALF_HEIGHT = math.sqrt(2) * DEG


@pytest.mark.parametrize(
    ("ra", "dec", "x", "y"),
    [
        (180, 0, 0, 0),
        (180, 90, 0, HALF_HEIGHT),
        (0, -90, 0, -HALF_HEIGHT),
        (90, 0, HALF_WIDTH / 2, 0),  # west of the centre: to the right
        (270, 0, -HALF_WIDTH / 2, 0),
    ],
)
def test_places_of_the_projection(ra: float, dec: float, x: float, y: float) -> None:
    assert mollweide([ra], [dec])[0] == pytest.approx([x, y], abs=1e-4)


@given(st.floats(0, 359.99), st.floats(-90, 90))
def test_every_place_lies_in_the_ellipse(ra: float, dec: float) -> None:
    x, y = mollweide([ra], [dec])[0]
    assert (x / HALF_WIDTH) ** 2 + (y / HALF_HEIGHT) ** 2 <= 1 + 1e-9


@given(st.floats(-89.9, 89.9))
def test_latitudes_keep_areas(dec: float) -> None:
    """Snyder (1987), equation 31-3: theta solves 2 theta + sin 2 theta = pi sin(latitude)."""
    theta = math.asin(mollweide([180.0], [dec])[0, 1] / HALF_HEIGHT)
    assert 2 * theta + math.sin(2 * theta) == pytest.approx(
        math.pi * math.sin(math.radians(dec)), abs=1e-6
    )


def test_nothing_is_projected_to_nothing() -> None:
    assert mollweide([], []).shape == (0, 2)


def test_the_map_draws_a_mark_for_each_cell_and_candidate() -> None:
    cells = [
        {"ra_deg": ra, "dec_deg": 10.0, "n": n, "candidates": 0}
        for ra, n in ((10.0, 1), (200.0, 50))
    ]
    best = [{"detection_id": "d", "ra_deg": 200.0, "dec_deg": 10.0, "p_value": 0.001,
             "object_id": "M 1", "frame_digest": "f"}]  # fmt: skip
    spec = sky_chart(cells, best).to_dict()
    rows = {len(found) for found in spec["datasets"].values()}
    assert {2, 1} <= rows
    assert len(spec["layer"]) == 5
    assert len(sky_chart(cells, []).to_dict()["layer"]) == 4


def test_the_field_is_drawn_with_east_to_the_left() -> None:
    row = {"detection_id": "d", "ra_deg": 1.0, "dec_deg": 2.0, "p_value": None,
           "verdict": "normal", "object_id": None, "frame_digest": "abcdef"}  # fmt: skip
    spec = field_chart([row], "picked").to_dict()
    assert spec["encoding"]["x"]["scale"]["reverse"] is True
    assert np.array([p["name"] == "picked" for p in spec["params"]]).any()
