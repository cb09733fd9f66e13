from __future__ import annotations

import numpy as np
import pytest

from engine.sky.terrain import fractal_relief, terrain


@pytest.mark.parametrize("shape", [(64, 64), (37, 90)])
def test_terrain_is_an_eight_bit_range_with_contrast(shape: tuple[int, int]) -> None:
    ground = terrain(np.random.default_rng(1), shape)
    assert ground.shape == shape
    assert ground.dtype == np.float32
    assert 0 <= ground.min() < ground.max() <= 255
    assert ground.std() > 10


def test_relief_has_the_stated_power_law() -> None:
    relief = fractal_relief(np.random.default_rng(2), (256, 256), roughness=2.0)
    assert relief.std() == pytest.approx(1.0)
    power = np.abs(np.fft.fft2(relief)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    band = (frequency > 0.02) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-4.0, abs=0.1)


def test_terrain_repeats_with_its_seed() -> None:
    first = terrain(np.random.default_rng(1), (48, 48))
    assert np.array_equal(first, terrain(np.random.default_rng(1), (48, 48)))
    assert not np.array_equal(first, terrain(np.random.default_rng(2), (48, 48)))


def test_neighbouring_pixels_resemble_each_other() -> None:
    ground = terrain(np.random.default_rng(4), (128, 128))
    assert np.corrcoef(ground[:, :-1].ravel(), ground[:, 1:].ravel())[0, 1] > 0.7
