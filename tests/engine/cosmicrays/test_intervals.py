"""Block intervals: the definitions by hand, and against the plain functions."""

from __future__ import annotations

import numpy as np
import pytest

from engine.cosmicrays.intervals import (
    RecallCurve,
    block_numbers,
    interval,
    log_loss,
    mean_differences,
    open_ece,
    recall_differences,
    recall_intervals,
    resamplings,
    square_loss,
)
from engine.metrics.calibration import brier, ece, nll
from engine.metrics.ranking import recall_at_fpr

RATES = (1e-3, 1e-2)


def sampled(seed: int, size: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.02
    probability = np.clip(rng.normal(0.2 + 0.5 * truth, 0.15), 0, 1).astype(np.float32)
    return probability, truth, (np.arange(size) // 500).astype(np.int32)


def test_blocks_are_numbered_row_by_row() -> None:
    numbers = block_numbers((3, 5), side=2)
    assert numbers.tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


def test_without_resampling_the_curve_is_recall_at_fpr() -> None:
    p, y, block = sampled(1)
    rates = RecallCurve(p, y, block).rates(np.ones(40, dtype=np.int64), RATES)
    expected = [recall_at_fpr(p[~y], p[y], rate) for rate in RATES]
    assert rates == pytest.approx(expected, abs=1e-12)


def test_a_weight_is_a_block_drawn_more_than_once() -> None:
    p, y, block = sampled(2, 4_000)
    weights = np.array([0, 2, 1, 3, 0, 1, 1, 0])
    drawn = np.repeat(np.arange(p.size), weights[block])
    expected = [recall_at_fpr(p[drawn][~y[drawn]], p[drawn][y[drawn]], rate) for rate in RATES]
    assert RecallCurve(p, y, block).rates(weights, RATES) == pytest.approx(expected, abs=1e-12)


def test_intervals_hold_the_value_and_a_net_beside_itself_differs_by_nothing() -> None:
    curves = [RecallCurve(*sampled(3)), RecallCurve(*sampled(4))]
    for one in recall_intervals(curves, RATES):
        assert one.lower <= one.value <= one.upper
        assert one.lower < one.upper
    for gap in recall_differences(curves, curves, RATES):
        assert (gap.value, gap.lower, gap.upper) == (0, 0, 0)


def test_resamplings_draw_as_many_blocks_as_there_are() -> None:
    drawn = resamplings(7, seed=0, count=5)
    assert drawn.shape == (5, 7)
    assert (drawn.sum(1) == 7).all()


def test_an_interval_leaves_out_what_could_not_be_measured() -> None:
    assert interval(1.0, [float("nan"), 2.0, 2.0]).as_dict() == {
        "value": 1.0, "lower": 2.0, "upper": 2.0,
    }  # fmt: skip


def test_losses_average_to_nll_and_brier() -> None:
    p, y, block = sampled(5)
    p, truth = p.astype(np.float64), y.astype(np.float64)
    assert log_loss(p, truth).mean() == pytest.approx(nll(p, y))
    assert square_loss(p, truth).mean() == pytest.approx(brier(p, y))
    zero = np.zeros(p.size)
    gap = mean_differences([(square_loss(p, truth), zero)], block)
    assert gap.value == pytest.approx(brier(p, y))
    assert gap.lower < gap.value < gap.upper


def test_the_open_error_looks_at_open_pixels_alone() -> None:
    p, y, _ = sampled(6)
    p = p.astype(np.float64)
    chosen = p > 0.3
    assert open_ece(p, y, chosen) == ece(p[chosen], y[chosen], scheme="equal_mass")
