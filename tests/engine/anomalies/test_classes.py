"""The class head: probabilities that hold, groups kept together, figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.anomalies.classes import (
    confusion,
    expected_calibration_error,
    fit_probe,
    fit_temperature,
    negative_log_likelihood,
)
from engine.errors import CalibrationError

RNG = np.random.default_rng(2)
TARGET = RNG.integers(3, size=300)
ROWS = (np.eye(3)[TARGET] @ RNG.normal(size=(3, 20)) + 1.2 * RNG.normal(size=(300, 20))).astype(
    np.float32
)
LABELS = [("c", "a", "b")[t] for t in TARGET]
KEYS = [str(row // 2) for row in range(300)]


def test_figures_by_hand() -> None:
    logits = np.log(np.array([[0.8, 0.2], [0.4, 0.6]]))
    target = np.array([0, 0])
    assert negative_log_likelihood(logits, target) == pytest.approx(
        -(np.log(0.8) + np.log(0.4)) / 2
    )
    shares = np.array([[0.8, 0.2], [0.4, 0.6]])
    assert expected_calibration_error(shares, target) == pytest.approx((0.2 + 0.6) / 2)
    assert confusion(("a", "b"), np.array([0, 1, 1]), np.array([0, 0, 1])) == {
        "a": {"a": 1, "b": 1},
        "b": {"a": 0, "b": 1},
    }


def test_temperature_undoes_a_scale() -> None:
    logits = 2 * RNG.normal(size=(4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([RNG.choice(3, p=p) for p in shares])
    assert fit_temperature(3 * logits, target) == pytest.approx(3, rel=0.1)


def test_a_probe_is_accurate_and_its_likelihood_no_worse_than_uncalibrated() -> None:
    probe = fit_probe(ROWS[:200], LABELS[:200], KEYS[:200])
    assert probe.names == ("a", "b", "c")
    target = np.array([probe.names.index(label) for label in LABELS[200:]])
    logits, raw = (head.logits(ROWS[200:]) for head in (probe.head, probe.raw))
    assert np.mean(logits.argmax(axis=1) == target) > 0.75
    assert negative_log_likelihood(logits, target) < negative_log_likelihood(raw, target) + 0.01
    assert_allclose(logits * probe.temperature, raw, rtol=1e-3, atol=1e-3)
    assert_allclose(probe.head.probabilities(ROWS[200:]).sum(axis=1), 1)


def test_classes_and_source_images_must_be_several() -> None:
    with pytest.raises(CalibrationError, match="at least two classes"):
        fit_probe(ROWS, ["a"] * 300, KEYS)
    with pytest.raises(CalibrationError, match="at least 4 source images, got 1"):
        fit_probe(ROWS, LABELS, ["same"] * 300)
