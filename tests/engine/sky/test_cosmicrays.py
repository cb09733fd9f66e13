from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label

from engine.sky.cosmicrays import THICK, THIN, Silicon, cosmic_ray_hits


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


def sizes_and_charges(silicon: Silicon, diffusion_px: float) -> tuple[np.ndarray, np.ndarray]:
    charge, mask = cosmic_ray_hits(
        np.random.default_rng(7), (1000, 1000), 300, diffusion_px=diffusion_px, silicon=silicon
    )
    blobs = label(mask, structure=np.ones((3, 3)))[0].ravel()
    return np.bincount(blobs)[1:], np.bincount(blobs, charge.ravel())[1:]


def test_a_thin_detector_in_orbit_sees_compact_hits() -> None:
    """STIS and WFPC2 handbooks: a few pixels a hit, a median of the order of 1000 electrons."""
    sizes, charges = sizes_and_charges(THIN, 0.2)
    assert 2 <= np.median(sizes) <= 6
    assert 700 < np.median(charges) < 2500
    assert sizes.max() > 12


def test_a_thick_detector_sees_muons_and_worms() -> None:
    sizes, charges = sizes_and_charges(THICK, 0.5)
    assert 8 <= np.median(sizes) <= 25
    assert 3000 < np.median(charges) < 12000
    assert sizes.max() > 60
    assert np.mean(sizes <= 9) > 0.1


def test_the_shares_of_a_detector_sum_to_one() -> None:
    with pytest.raises(ValueError, match="must sum to 1"):
        replace(THIN, worm=0.5)
    with pytest.raises(ValueError, match="a thickness"):
        replace(THIN, thickness_px=0.0)


def test_thick_detectors_spread_charge_wider() -> None:
    narrow = cosmic_ray_hits(np.random.default_rng(3), (500, 500), 400, diffusion_px=0.1)[1]
    wide = cosmic_ray_hits(np.random.default_rng(3), (500, 500), 400, diffusion_px=0.8)[1]
    assert wide.sum() > 1.2 * narrow.sum()


def test_the_same_seed_gives_the_same_hits() -> None:
    first, _ = cosmic_ray_hits(np.random.default_rng(11), (64, 64), 1000)
    again, _ = cosmic_ray_hits(np.random.default_rng(11), (64, 64), 1000)
    assert first.any()
    assert np.array_equal(first, again)
