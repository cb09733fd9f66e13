from __future__ import annotations

import numpy as np
import pytest

from engine.sky.detector import bleed, expose


def test_noise_is_poisson_plus_read_noise() -> None:
    counts = expose(np.random.default_rng(0), np.full((300, 300), 400.0), 10.0)
    assert counts.mean() == pytest.approx(400.0, abs=0.5)
    assert counts.var() == pytest.approx(500.0, rel=0.02)


def test_bleeding_moves_charge_along_the_column() -> None:
    electrons = np.zeros((7, 3))
    electrons[3, 1] = 350.0
    spilled, saturated = bleed(electrons, 100.0)
    # 250 above the full well: 125 up and 125 down, filling one neighbour and a quarter.
    assert spilled[:, 1].tolist() == [0.0, 25.0, 100.0, 100.0, 100.0, 25.0, 0.0]
    assert saturated[:, 1].tolist() == [False, False, True, True, True, False, False]
    assert not spilled[:, [0, 2]].any()


def test_charge_below_the_full_well_stays() -> None:
    electrons = np.array([[5.0, 99.0], [1.0, 2.0]])
    spilled, saturated = bleed(electrons, 100.0)
    assert np.array_equal(spilled, electrons)
    assert not saturated.any()
