from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from engine.sky.cosmicrays import cosmic_ray_hits


def test_the_mask_is_the_charge_above_the_floor() -> None:
    charge, mask = cosmic_ray_hits(np.random.default_rng(2), (200, 300), 800, floor_e=25.0)
    assert charge.dtype == np.float32
    assert charge.shape == mask.shape == (200, 300)
    assert np.array_equal(mask, charge > 25.0)
    assert charge.min() == 0.0


def test_without_particles_there_is_no_charge() -> None:
    charge, mask = cosmic_ray_hits(np.random.default_rng(2), (50, 50), 0)
    assert not charge.any()
    assert not mask.any()


def test_the_number_of_hits_follows_the_rate() -> None:
    _, mask = cosmic_ray_hits(np.random.default_rng(5), (1000, 1000), 200, diffusion_px=0.2)
    blobs = label(mask, structure=np.ones((3, 3)))[1]
    assert blobs == pytest.approx(200, rel=0.25)


def test_hits_range_from_points_to_long_tracks() -> None:
    _, mask = cosmic_ray_hits(np.random.default_rng(7), (1000, 1000), 300)
    blobs, count = label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(blobs.ravel())[1:]
    assert count > 100
    assert np.percentile(sizes, 25) <= 6
    assert sizes.max() > 40


def test_thick_detectors_spread_charge_wider() -> None:
    narrow = cosmic_ray_hits(np.random.default_rng(3), (500, 500), 400, diffusion_px=0.1)[1]
    wide = cosmic_ray_hits(np.random.default_rng(3), (500, 500), 400, diffusion_px=0.8)[1]
    assert wide.sum() > 1.2 * narrow.sum()


def test_the_same_seed_gives_the_same_hits() -> None:
    first, _ = cosmic_ray_hits(np.random.default_rng(11), (64, 64), 1000)
    again, _ = cosmic_ray_hits(np.random.default_rng(11), (64, 64), 1000)
    assert first.any()
    assert np.array_equal(first, again)
