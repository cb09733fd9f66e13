"""Calibration figures against hand-computed values, scikit-learn, and what must always hold."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from engine.errors import CalibrationError
from engine.metrics.calibration import (
    aurc,
    binary_entropy,
    brier,
    calibration_report,
    ece,
    nll,
    reliability_curve,
    risk_coverage,
    temperature,
    tempered,
)

P = np.array([0.1, 0.2, 0.4, 0.8, 1.0])
Y = np.array([0, 1, 0, 1, 1])


@pytest.fixture
def calibrated() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    p = rng.beta(0.4, 2.0, 40_000)
    return p, rng.random(p.size) < p


def test_brier_by_hand():
    assert brier(P, Y) == pytest.approx((0.01 + 0.64 + 0.16 + 0.04 + 0) / 5)


def test_nll_by_hand():
    expected = -(np.log(0.9) + np.log(0.2) + np.log(0.6) + np.log(0.8) + np.log(1 - 1e-7)) / 5
    assert nll(P, Y) == pytest.approx(expected, rel=1e-12)


def test_a_certain_mistake_costs_a_finite_nll():
    assert nll([1.0], [0]) == pytest.approx(-np.log(1e-7), rel=1e-6)


def test_brier_and_nll_agree_with_scikit_learn(calibrated):
    p, y = calibrated
    p = np.clip(p, 1e-6, 1 - 1e-6)
    assert brier(p, y) == pytest.approx(brier_score_loss(y, p))
    assert nll(p, y) == pytest.approx(log_loss(y, p))


@pytest.mark.parametrize("sklearn_strategy", ["uniform", "quantile"])
def test_reliability_curve_agrees_with_scikit_learn(calibrated, sklearn_strategy):
    p, y = calibrated
    scheme = "equal_width" if sklearn_strategy == "uniform" else "equal_mass"
    curve = reliability_curve(p, y, bins=10, scheme=scheme)
    frequency, confidence = calibration_curve(y, p, n_bins=10, strategy=sklearn_strategy)
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.frequency[filled], frequency)
    np.testing.assert_allclose(curve.confidence[filled], confidence)


def test_certainty_falls_into_the_last_bin():
    curve = reliability_curve([1.0, 1.0, 0.0], [1, 0, 0], bins=15)
    assert curve.counts.sum() == 3
    assert curve.counts[-1] == 2
    assert curve.frequency[-1] == 0.5


def test_a_bin_holds_its_lower_edge():
    curve = reliability_curve([0.5], [1], bins=2)
    assert curve.counts.tolist() == [0, 1]


def test_empty_bins_have_no_frequency():
    curve = reliability_curve([0.05], [0], bins=10)
    assert np.isnan(curve.frequency[1:]).all()
    assert curve.frequency[0] == 0


def test_ece_by_hand_in_every_norm():
    p, y = [0.1, 0.1, 0.7, 0.9], [0, 1, 1, 1]
    # two bins: gap |0.1 - 0.5| = 0.4 and |0.8 - 1| = 0.2, half of the pixels each
    assert ece(p, y, bins=2) == pytest.approx(0.3)
    assert ece(p, y, bins=2, norm="l2") == pytest.approx(np.sqrt(0.1))
    assert ece(p, y, bins=2, norm="max") == pytest.approx(0.4)


def test_ece_by_class_weighs_the_rare_class_as_much():
    p = np.r_[np.zeros(98), 0.9, 0.9]
    y = np.r_[np.zeros(98), 1, 0]
    # negatives are perfect, the two called positive are right half of the time: gap 0.4
    assert ece(p, y) == pytest.approx(0.02 * 0.4)
    assert ece(p, y, by_class=True) == pytest.approx(0.5 * 0.4)


def test_equal_mass_bins_survive_ties():
    p = np.r_[np.zeros(90), np.linspace(0.1, 1, 10)]
    curve = reliability_curve(p, p > 0.5, bins=15, scheme="equal_mass")
    assert curve.counts.sum() == 100
    assert curve.counts.size < 15
    assert ece(np.full(10, 0.25), np.zeros(10), scheme="equal_mass") == pytest.approx(0.25)


def test_calibrated_probabilities_have_a_small_ece(calibrated):
    p, y = calibrated
    assert ece(p, y) < 0.01
    assert ece(p, y, scheme="equal_mass") < 0.01
    assert ece(p, ~y) > 0.3


def test_risk_coverage_and_aurc_by_hand():
    p, y = [0.99, 0.9, 0.2, 0.6], [1, 0, 0, 0]
    # surest first: 0.99 right, 0.9 wrong, 0.2 right, 0.6 wrong
    curve = risk_coverage(p, y)
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(p, y) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_aurc_does_not_depend_on_the_order_of_ties():
    p, y = np.full(6, 0.9), np.array([1, 1, 1, 0, 0, 1])
    assert aurc(p, y) == pytest.approx(1 / 3)
    assert aurc(p, y) == aurc(p, y[::-1])


def test_aurc_by_another_uncertainty():
    p, y = [0.9, 0.9], [1, 0]
    assert aurc(p, y, uncertainty=[0.1, 0.2]) == pytest.approx((0 + 1 / 2) / 2)
    assert aurc(p, y, uncertainty=[0.2, 0.1]) == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered(calibrated, true_temperature):
    p, y = calibrated
    distorted = tempered(p, 1 / true_temperature)
    assert temperature(distorted, y) == pytest.approx(true_temperature, rel=0.05)


def test_temperature_cannot_be_beaten(calibrated):
    p, y = calibrated
    distorted = tempered(p, 0.4)
    best = temperature(distorted, y)
    at_best = nll(tempered(distorted, best), y)
    assert at_best <= nll(tempered(distorted, best * 1.05), y)
    assert at_best <= nll(tempered(distorted, best / 1.05), y)


def test_temperature_needs_both_classes():
    with pytest.raises(CalibrationError, match="positive and negative"):
        temperature([0.1, 0.2], [0, 0])


def test_tempering_refuses_a_temperature_of_zero():
    with pytest.raises(ValueError, match="must be positive, got 0"):
        tempered([0.5], 0)


def test_entropy_by_hand():
    np.testing.assert_allclose(
        binary_entropy(np.array([0.0, 0.5, 1.0, 0.1])), [0, np.log(2), 0, 0.3250829733914482]
    )
    assert binary_entropy(np.float32([0.5])).dtype == np.float32


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 2**32 - 1))
def test_figures_stay_in_their_ranges(p, seed):
    y = np.random.default_rng(seed).random(p.size) < 0.5
    assert 0 <= brier(p, y) <= 1
    assert nll(p, y) >= 0
    for scheme in ("equal_width", "equal_mass"):
        assert 0 <= ece(p, y, scheme=scheme) <= ece(p, y, norm="max", scheme=scheme) <= 1
        assert ece(p, y, scheme=scheme) <= ece(p, y, norm="l2", scheme=scheme) + 1e-12
    assert 0 <= aurc(p, y) <= 1
    assert risk_coverage(p, y).risk[-1] == pytest.approx(np.mean((p > 0.5) != y))
    assert (binary_entropy(p) <= np.log(2) + 1e-12).all()


def test_report_leaves_ignored_pixels_out():
    p, y = np.array([[0.2, 0.9], [0.7, 0.1]]), np.array([[0, 1], [0, 0]])
    ignore = np.array([[False, False], [True, False]])
    report = calibration_report(p, y, ignore, dataset="by hand")
    assert (report.n, report.positives) == (3, 1)
    assert report.brier == pytest.approx((0.04 + 0.01 + 0.01) / 3)
    assert sum(one.count for one in report.reliability) == 3
    assert len(report.reliability) == report.ece_bins == 15


def test_report_fits_json_and_thins_its_curve(calibrated):
    report = calibration_report(*calibrated, dataset="calibrated")
    document = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert len(document["risk_coverage"]) <= 100
    assert document["risk_coverage"][-1][0] == 1
    assert document["temperature"] == pytest.approx(1, abs=0.05)
    assert document["reliability"][0]["lower"] == 0


def test_report_of_one_class_has_no_temperature():
    assert calibration_report([0.1, 0.9], [0, 0], dataset="empty sky").temperature is None


def test_report_of_nothing_is_refused():
    with pytest.raises(CalibrationError, match="no pixel of nowhere is left"):
        calibration_report([0.1], [0], [True], dataset="nowhere")


def test_mismatched_sizes_are_refused():
    with pytest.raises(ValueError, match="got 2 and 1"):
        brier([0.1, 0.2], [1])


def test_importing_calibration_loads_no_torch():
    code = "import sys, engine.metrics.calibration; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
