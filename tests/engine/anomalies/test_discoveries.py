"""The night's list: by hand, honest where nothing can be claimed, and valid when repeated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.anomalies.calibration import Calibration
from engine.anomalies.discoveries import benjamini_hochberg


def test_the_list_by_hand() -> None:
    night = benjamini_hochberg(np.array([0.9, 0.001, 0.02, 0.5]), rate=0.05)
    assert night.is_discovery
    assert list(night.rows) == [1, 2]
    assert_allclose(night.adjusted, [0.9, 0.004, 0.04, 2 / 3])
    assert night.message.startswith("2 of 4 can be claimed: at most 5%")
    assert night.calibration_needed is None


def test_where_nothing_can_be_claimed_the_top_is_named_for_what_it_is() -> None:
    p_values = np.array([1 / 201, *np.linspace(0.1, 1, 99)])
    night = benjamini_hochberg(p_values, rate=0.1, top=20, calibrated_on=200)
    assert not night.is_discovery
    assert len(night.rows) == 20
    assert night.rows[0] == 0
    assert night.calibration_needed == 999
    assert night.message == (
        "no list can be given at 10%: these are merely the top 20; 200 calibration images cannot "
        "single out one of 100, 999 could"
    )


def test_the_needed_calibration_is_exact() -> None:
    for calibrated, claimed in ((998, False), (999, True)):
        p_values = np.ones(100)
        p_values[3] = 1 / (calibrated + 1)
        assert benjamini_hochberg(p_values, rate=0.1).is_discovery is claimed


def test_an_empty_night_has_an_empty_list() -> None:
    night = benjamini_hochberg(np.empty(0))
    assert (night.is_discovery, len(night.rows)) == (False, 0)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_rates_without_meaning_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be between 0 and 1"):
        benjamini_hochberg(np.ones(3), rate=rate)


def test_p_values_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"numbers in \(0, 1\]"):
        benjamini_hochberg(np.array([0.0, 0.4]))


def test_false_discoveries_stay_below_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        calibration = Calibration.of(rng.normal(size=400))
        scores = np.concatenate([rng.normal(size=90), 3.5 + rng.normal(size=10)])
        rows = benjamini_hochberg(calibration.p_value(scores), rate=0.2)
        found = rows.rows if rows.is_discovery else np.empty(0, int)
        shares.append(np.mean(found < 90) if len(found) else 0.0)
    assert np.mean(shares) <= 0.22
