"""What a score also measures, and p-values among things of like size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from engine.anomalies.confounders import ConditionalCalibration, magnitude, score_correlations
from engine.errors import CalibrationError

RNG = np.random.default_rng(0)


def test_correlations_are_spearmans_and_leave_unknown_rows_out() -> None:
    scores, size = RNG.normal(size=40), RNG.normal(size=40)
    snr = scores**3
    snr[:5] = np.nan
    got = score_correlations({"knn": scores}, {"size": size, "snr": snr, "flat": np.ones(40)})
    assert got["knn"]["size"] == pytest.approx(spearmanr(scores, size).statistic)
    assert got["knn"]["snr"] == pytest.approx(1)
    assert got["knn"]["flat"] is None


def test_too_few_rows_have_no_correlation() -> None:
    few = np.arange(7.0)
    assert score_correlations({"a": few}, {"size": few}) == {"a": {"size": None}}


def test_magnitudes_by_hand() -> None:
    assert_allclose(magnitude(np.array([1.0, 100.0, -2.0]), 25), [25, 20, np.nan])


def test_a_large_object_is_compared_with_large_ones() -> None:
    size = np.tile([10.0, 100.0], 150)
    scores = size + RNG.normal(size=300)  # large things score high whatever they are
    calibration = ConditionalCalibration.fit(scores, size)
    ordinary = np.array([10.0, 100.0])
    p_values = calibration.p_value(ordinary, ordinary)
    assert (p_values > 0.2).all()
    assert calibration.p_value(np.array([100.0]), np.array([10.0]))[0] < 0.01


def test_it_holds_its_level_in_every_bin() -> None:
    rates = []
    for _ in range(60):
        size = RNG.uniform(size=1300)
        scores = size * RNG.normal(size=1300)
        calibration = ConditionalCalibration.fit(scores[:300], size[:300])
        p_values = calibration.p_value(scores[300:], size[300:])
        rates.append([np.mean(p_values[s] <= 0.1) for s in (size[300:] < 0.2, size[300:] > 0.8)])
    assert_allclose(np.mean(rates, axis=0), [0.1, 0.1], atol=0.02)


def test_few_rows_give_one_bin_and_unknown_sizes_no_p_value() -> None:
    calibration = ConditionalCalibration.fit(np.arange(50.0), np.arange(50.0))
    assert len(calibration.bins) == 1
    assert np.isnan(calibration.p_value(np.array([3.0]), np.array([np.nan]))[0])
    with pytest.raises(CalibrationError, match="one finite confounder value"):
        ConditionalCalibration.fit(np.arange(50.0), np.full(50, np.nan))


def test_ties_in_the_confounder_never_leave_a_thin_bin() -> None:
    size = np.array([1.0] * 290 + [2.0] * 10)
    calibration = ConditionalCalibration.fit(RNG.normal(size=300), size)
    assert sum(b.size for b in calibration.bins) == 300
    assert min(b.size for b in calibration.bins) >= 19
