"""How well a score ranks anomalies above normals; a higher score is more anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.floating]


def roc_auc(normal: Floats, anomalous: Floats) -> float:
    """Area under the ROC curve: the chance that an anomaly scores above a normal (ties half).

    `normal` (N,) and `anomalous` (M,) are finite scores, higher = more anomalous. Raises
    ValueError when either is empty or not finite. (Fawcett 2006, Pattern Recognition Letters 27.)
    """
    labels, scores = _labelled(normal, anomalous)
    return float(roc_auc_score(labels, scores))


def average_precision(normal: Floats, anomalous: Floats) -> float:
    """Average precision, sum over thresholds of (R_n - R_{n-1}) P_n; chance is M / (N + M).

    Arguments and errors as for `roc_auc`.
    """
    labels, scores = _labelled(normal, anomalous)
    return float(average_precision_score(labels, scores))


def recall_at_fpr(normal: Floats, anomalous: Floats, false_positive_rate: float) -> float:
    """Share of anomalies strictly above the threshold that at most this share of normals exceeds.

    `false_positive_rate` in [0, 1]. The threshold is the smallest normal score that no more than
    floor(rate * N) normals exceed. Raises ValueError as `roc_auc`, or for a rate outside [0, 1].
    """
    if not 0 <= false_positive_rate <= 1:
        raise ValueError(f"false_positive_rate must be in [0, 1], got {false_positive_rate}")
    _labelled(normal, anomalous)
    allowed = int(np.floor(false_positive_rate * len(normal) + 1e-9))
    if allowed >= len(normal):
        return 1.0
    threshold = np.sort(np.asarray(normal))[::-1][allowed]
    return float(np.mean(np.asarray(anomalous) > threshold))


def _labelled(normal: Floats, anomalous: Floats) -> tuple[NDArray[np.int64], Floats]:
    if len(normal) == 0 or len(anomalous) == 0:
        raise ValueError(
            f"ranking needs normals and anomalies, got {len(normal)} and {len(anomalous)}"
        )
    scores = np.concatenate([np.asarray(normal), np.asarray(anomalous)])
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite: drop or repair the items that could not be scored")
    labels = np.concatenate([np.zeros(len(normal), np.int64), np.ones(len(anomalous), np.int64)])
    return labels, scores
