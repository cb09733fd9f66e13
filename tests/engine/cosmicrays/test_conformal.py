"""Conformal thresholds: by hand, and the promise kept on hits that were not calibrated on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cosmicrays.conformal import MissCalibration, conformal_threshold, hits_of
from engine.errors import CalibrationError

NINE = [np.array([k / 10, 0.95], np.float32) for k in range(1, 10)]


def test_by_hand() -> None:
    """Nine hits of two pixels; each k-th threshold misses half of one more hit.

    (k / 2 + 1) / 10 <= alpha: at 0.25 three halves are allowed, at 0.1 none.
    """
    assert conformal_threshold(NINE, 0.25) == pytest.approx(0.3, abs=1e-6)
    below = conformal_threshold(NINE, 0.1)
    assert 0.0999 < below < np.float32(0.1)


def test_all_pixels_of_one_value_fall_together() -> None:
    hits = [np.full(4, 0.4, np.float32)] * 9 + [np.full(4, 0.9, np.float32)] * 10
    assert conformal_threshold(hits, 0.4) < 0.4
    assert conformal_threshold(hits, 0.5) == pytest.approx(0.4)


def test_a_rate_wants_enough_hits() -> None:
    with pytest.raises(CalibrationError, match=r"0\.05 needs at least 19 labelled hits, 9 were"):
        conformal_threshold(NINE, 0.05)
    with pytest.raises(CalibrationError, match="at least one"):
        conformal_threshold([], 0.1)
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        conformal_threshold(NINE, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.05, 0.1, 0.3]))
def test_the_stored_curve_is_never_laxer(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    hits = [rng.beta(2, 1, rng.integers(1, 9)).astype(np.float32) for _ in range(200)]
    exact = conformal_threshold(hits, alpha)
    stored = MissCalibration.from_dict(MissCalibration.of(hits, ["sim"]).as_dict())
    assert stored.threshold(alpha) <= exact
    assert stored.threshold(alpha) > exact - 0.05


def test_the_promise_is_kept_on_average() -> None:
    """The mean over many calibrations of the share missed in new hits is at most alpha."""
    rng = np.random.default_rng(1)
    alpha, missed = 0.1, []

    def some(count: int) -> list[np.ndarray]:
        """Hits differ: within one, pixels are alike."""
        centres = rng.normal(1.5, 1.5, count)
        return [1 / (1 + np.exp(-rng.normal(c, 0.7, rng.integers(1, 12)))) for c in centres]

    for _ in range(200):
        threshold = conformal_threshold(some(60), alpha)
        missed += [float((hit <= threshold).mean()) for hit in some(30)]
    standard_error = np.std(missed) / np.sqrt(len(missed))
    assert np.mean(missed) <= alpha + 3 * standard_error
    assert np.mean(missed) > 0.05


def test_hits_are_eight_connected_groups() -> None:
    truth = np.zeros((6, 6), bool)
    truth[0, 0] = truth[1, 1] = truth[4, 2:5] = True
    probability = np.arange(36, dtype=np.float32).reshape(6, 6)
    first, second = hits_of(probability, truth)
    assert first.tolist() == [0, 7]
    assert second.tolist() == [26, 27, 28]
    assert hits_of(probability, np.zeros((6, 6), bool)) == []


def test_a_damaged_card_is_named() -> None:
    with pytest.raises(CalibrationError, match="publish the model again"):
        MissCalibration.from_dict({"hits": 3})
