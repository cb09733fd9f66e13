from __future__ import annotations

import numpy as np
import pytest

from engine.sky.extended import MORPHOLOGIES, draw_extended, paint_extended
from engine.sky.profiles import sersic
from engine.sky.truth import ANOMALY_KINDS, GALAXY_KINDS, SkyObject


@pytest.mark.parametrize("kind", MORPHOLOGIES)
def test_every_kind_sums_to_its_flux(kind: str) -> None:
    rng = np.random.default_rng(3)
    canvas = np.zeros((128, 128))
    thing = draw_extended(rng, kind, 64.3, 63.1, 5.0, 12_345.0)
    paint_extended(canvas, thing)
    assert canvas.sum() == pytest.approx(12_345.0, rel=1e-9)
    assert canvas.min() >= 0


def test_kinds_are_the_ordinary_and_the_rare_ones() -> None:
    assert set(MORPHOLOGIES) == {*GALAXY_KINDS, *ANOMALY_KINDS}
    rng = np.random.default_rng(0)
    for kind in MORPHOLOGIES:
        assert draw_extended(rng, kind, 0, 0, 4, 1).is_anomaly == (kind in ANOMALY_KINDS)


def test_a_sersic_profile_holds_half_its_light_within_its_radius() -> None:
    rows, columns = np.mgrid[-400:401, -400:401]
    radius = np.hypot(rows, columns) + 1e-9
    for index in (1.0, 2.0):
        light = sersic(radius, 30.0, index)
        assert light[radius <= 30].sum() / light.sum() == pytest.approx(0.5, abs=0.02)


def test_a_round_elliptical_is_centred_where_it_says() -> None:
    canvas = np.zeros((96, 96))
    shape = {"radius_px": 4.0, "index": 1.0, "axis_ratio": 1.0, "angle": 0.0}
    paint_extended(canvas, SkyObject("elliptical", 40.4, 52.7, 4.0, 1.0, parameters=shape))
    rows, columns = np.mgrid[0:96, 0:96]
    assert (canvas * columns).sum() == pytest.approx(40.4, abs=0.05)
    assert (canvas * rows).sum() == pytest.approx(52.7, abs=0.05)


def test_a_ring_is_brighter_on_its_rim_than_inside() -> None:
    canvas = np.zeros((96, 96))
    shape = {
        "radius_px": 6.0,
        "ring_px": 12.0,
        "width_px": 1.5,
        "axis_ratio": 1.0,
        "angle": 0.0,
        "ring_share": 0.8,
        "lopsided": 0.0,
    }
    paint_extended(canvas, SkyObject("ring", 48.0, 48.0, 6.0, 1.0, parameters=shape))
    assert canvas[48, 60] > 5 * canvas[48, 55]
    assert canvas[48, 60] == pytest.approx(canvas[36, 48], rel=1e-6)


def test_a_source_straight_behind_the_lens_makes_an_einstein_ring() -> None:
    canvas = np.zeros((96, 96))
    shape = {
        "radius_px": 6.0,
        "einstein_px": 12.0,
        "source_px": 1.2,
        "offset_px": 0.0,
        "angle": 0.0,
        "axis_ratio": 1.0,
        "shear": 0.0,
        "arc_share": 0.7,
    }
    paint_extended(canvas, SkyObject("arc", 48.0, 48.0, 6.0, 1.0, parameters=shape))
    profile = canvas[48, 53:70]
    assert int(profile.argmax()) + 53 == 60
    assert canvas[48, 60] == pytest.approx(canvas[60, 48], rel=1e-6)


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no extended object of kind 'comet'"):
        draw_extended(np.random.default_rng(0), "comet", 0, 0, 4, 1)
