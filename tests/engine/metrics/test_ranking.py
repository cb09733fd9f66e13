"""Ranking figures against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from engine.metrics.ranking import average_precision, recall_at_fpr, roc_auc

NORMAL = np.array([0.1, 0.2, 0.3, 0.4])
ANOMALOUS = np.array([0.35, 0.9])


def test_roc_auc_counts_pairs_in_the_right_order() -> None:
    assert roc_auc(NORMAL, ANOMALOUS) == pytest.approx(7 / 8)
    assert roc_auc(ANOMALOUS, NORMAL) == pytest.approx(1 / 8)


def test_ties_count_half() -> None:
    assert roc_auc(np.zeros(3), np.zeros(2)) == pytest.approx(0.5)


def test_average_precision_by_hand() -> None:
    assert average_precision(NORMAL, ANOMALOUS) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.parametrize(("rate", "recall"), [(0.0, 0.5), (0.24, 0.5), (0.25, 1.0), (1.0, 1.0)])
def test_recall_at_a_false_positive_rate(rate: float, recall: float) -> None:
    assert recall_at_fpr(NORMAL, ANOMALOUS, rate) == recall


def test_empty_or_broken_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="needs normals and anomalies, got 0 and 2"):
        roc_auc(np.array([]), ANOMALOUS)
    with pytest.raises(ValueError, match="must be finite"):
        average_precision(np.array([np.nan]), ANOMALOUS)
    with pytest.raises(ValueError, match="false_positive_rate must be in"):
        recall_at_fpr(NORMAL, ANOMALOUS, 1.5)
