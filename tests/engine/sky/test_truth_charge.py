"""The truth of a simulated frame keeps what particles left on it."""

from __future__ import annotations

import numpy as np

from engine.sky import FieldConditions, simulate_field, simulated_rover_frame


def test_charge_is_what_the_hits_added() -> None:
    rng = np.random.default_rng(3)
    image = simulate_field(rng, FieldConditions.sample(rng, 64))
    charge = image.truth.cosmic_ray_charge_e
    assert charge is not None
    assert np.array_equal(image.clean + charge, image.pixels)
    assert np.array_equal(charge > image.truth.cosmic_ray_floor_e, image.truth.cosmic_rays)


def test_a_camera_picture_has_no_charge() -> None:
    assert simulated_rover_frame("n", 0, size=64).truth.cosmic_ray_charge_e is None
