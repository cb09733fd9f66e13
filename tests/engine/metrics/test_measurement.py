from __future__ import annotations

import numpy as np
import pytest

from engine.errors import CalibrationError
from engine.metrics.calibration import brier, nll, tempered
from engine.metrics.measurement import ALL, OPEN, SHIPPED, UNTEMPERED, measured

P = np.array([0.001, 0.002, 0.2, 0.9, 0.6])
Y = np.array([0, 0, 0, 1, 1], dtype=bool)


def test_one_stage_is_reported_over_all_and_over_open_pixels() -> None:
    every, only_open = measured(P, Y, dataset="five")
    assert (every.pixels, every.stage, every.report.n) == (ALL, SHIPPED, 5)
    assert (only_open.pixels, only_open.report.n, only_open.report.positives) == (OPEN, 3, 2)
    assert only_open.report.brier == pytest.approx((0.2**2 + 0.1**2 + 0.4**2) / 3)
    assert every.as_dict()["dataset"] == "five"
    assert every.as_dict()["pixels"] == ALL


def test_both_stages_are_measured_on_the_same_open_pixels() -> None:
    softer = tempered(P, 3.0)
    assert (softer >= 0.01).all()
    by_name = {
        (v.pixels, v.stage): v.report for v in measured(P, Y, dataset="d", untempered=softer)
    }
    assert set(by_name) == {(a, b) for a in (ALL, OPEN) for b in (SHIPPED, UNTEMPERED)}
    assert by_name[OPEN, SHIPPED].n == by_name[OPEN, UNTEMPERED].n == 5
    assert by_name[ALL, UNTEMPERED].nll == pytest.approx(nll(softer, Y))
    assert by_name[ALL, SHIPPED].brier == pytest.approx(brier(P, Y))


def test_where_nothing_is_open_only_all_pixels_are_reported() -> None:
    (only,) = measured(np.full(4, 0.001), np.zeros(4), dataset="dark")
    assert only.pixels == ALL


def test_no_pixel_is_refused() -> None:
    with pytest.raises((CalibrationError, ValueError), match=r"got 0|no pixel"):
        measured(np.zeros(0), np.zeros(0), dataset="nothing")
