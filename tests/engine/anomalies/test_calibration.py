"""Percentiles and p-values: by hand, and valid when repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from engine.anomalies.calibration import Calibration, Combination
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.errors import CalibrationError

ONE_TO_NINETEEN = Calibration.of(np.arange(19, 0, -1))


def test_p_values_by_hand() -> None:
    assert_allclose(
        ONE_TO_NINETEEN.p_value(np.array([20.0, 19.0, 10.0, 0.0])), [0.05, 0.1, 0.55, 1]
    )


def test_percentiles_by_hand_with_ties_half() -> None:
    assert_allclose(
        ONE_TO_NINETEEN.percentile(np.array([0.0, 10.0, 10.5, 99.0])),
        [0.0, 100 * 9.5 / 19, 100 * 10 / 19, 100.0],
    )


def test_too_little_or_broken_calibration_data_is_refused() -> None:
    with pytest.raises(CalibrationError, match="at least 19 held-out scores, got 18"):
        Calibration.of(np.arange(18.0))
    with pytest.raises(CalibrationError, match="finite"):
        Calibration.of(np.array([np.nan] * 30))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=19, max_size=80),
    st.lists(st.floats(-2e6, 2e6), min_size=2, max_size=20),
)
def test_a_higher_score_never_gets_a_higher_p_value(
    held_out: list[float], new: list[float]
) -> None:
    calibration = Calibration.of(np.array(held_out))
    raw = np.sort(np.array(new))
    p = calibration.p_value(raw)
    assert (np.diff(p) <= 0).all()
    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(calibration.percentile(raw)) >= 0).all()
    assert (np.diff(calibration.log_tail(raw)) <= 1e-9).all()


def test_the_tail_orders_scores_that_tie_as_p_values() -> None:
    far = np.array([25.0, 50.0])
    assert np.ptp(ONE_TO_NINETEEN.p_value(far)) == 0
    assert np.diff(ONE_TO_NINETEEN.log_tail(far))[0] < -1


def test_split_conformal_p_values_hold_their_level() -> None:
    rng = np.random.default_rng(0)
    below = [
        np.mean(Calibration.of(rng.gamma(2, size=99)).p_value(rng.gamma(2, size=50)) <= 0.1)
        for _ in range(400)
    ]
    assert np.mean(below) == pytest.approx(0.1, abs=0.01)


def test_the_combination_of_correlated_methods_holds_its_level() -> None:
    rng = np.random.default_rng(1)

    def draw(count: int) -> np.ndarray:
        shared = rng.normal(size=(count, 1))
        return np.exp(0.9 * shared + 0.4 * rng.normal(size=(count, 2)))

    rates = []
    for _ in range(300):
        held_out = draw(200)
        single = {name: Calibration.of(held_out[:, i]) for i, name in enumerate("ab")}
        combination = Combination.fit("ab", single, held_out)
        p = combination.calibration.p_value(combination.statistic(single, draw(50)))
        rates.append([np.mean(p <= 0.05), np.mean(p <= 0.2)])
    assert_allclose(np.mean(rates, axis=0), [0.05, 0.2], atol=0.012)


def test_a_combination_outranks_when_members_see_different_things() -> None:
    rng = np.random.default_rng(2)
    held_out, odd = rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 1.5
    single = {name: Calibration.of(held_out[:, i]) for i, name in enumerate("ab")}
    combination = Combination.fit("ab", single, held_out)
    power = np.mean(combination.calibration.p_value(combination.statistic(single, odd)) <= 0.05)
    assert power > np.mean(single["a"].p_value(odd[:, 0]) <= 0.05) + 0.1


def test_calibrating_in_sample_would_raise_many_false_alarms() -> None:
    """The trap that the held-out split is for: fit rows look too normal to their own model."""
    rng = np.random.default_rng(4)
    fit, held_out, new = (
        rng.gamma(4, size=(rows, 120)).astype(np.float32) for rows in (150, 150, 600)
    )
    scorer = PcaReconstruction.fit(fit)
    honest = Calibration.of(scorer.score(held_out)).p_value(scorer.score(new))
    in_sample = Calibration.of(scorer.score(fit)).p_value(scorer.score(new))
    assert np.mean(honest <= 0.05) < 0.09
    assert np.mean(in_sample <= 0.05) > 0.5
