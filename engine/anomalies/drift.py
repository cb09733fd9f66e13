"""Whether what a source delivers still looks like what its reference was calibrated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstest

from engine.metrics.ranking import roc_auc

LEAST = 60
MOST_SHIFT = 15.0
LARGEST_KS_P = 1e-3
LARGEST_AUC = 0.85
FOLDS = 4


@dataclass(frozen=True)
class Drift:
    """What the newest detections of a source say of its calibration.

    `median_percentile` is the combined score's median percentile (50 without drift),
    `most_shifted` the method furthest from 50, `ks_p_value` of percentiles against uniform,
    `domain_auc` how well a classifier tells the newest search vectors from the source's first (0.5:
    not at all), None where there are too few. `expired` is the flag, `reason` says why it is so.
    """

    n: int
    median_percentile: float | None
    most_shifted: str | None
    ks_p_value: float | None
    domain_auc: float | None
    expired: bool
    reason: str


def measure_drift(
    percentiles: Mapping[str, NDArray[np.float64]],
    *,
    combined: str = "combined",
    first: NDArray[np.float32] | None = None,
    newest: NDArray[np.float32] | None = None,
) -> Drift:
    """Judge the percentiles (N,) in [0, 100] of every method, and two sets of search vectors.

    Percentiles of normals exchangeable with the calibration are uniform, so their median is 50; a
    few anomalies hardly move it. Calibration counts as expired when the combined median is more
    than 15 from 50 and a Kolmogorov-Smirnov test rejects uniformity at 0.001, or when a logistic
    classifier tells the newest vectors from the first ones with an out-of-fold AUC above 0.85.
    Below 60 detections nothing is concluded.
    """
    values = np.asarray(percentiles.get(combined, np.empty(0)), dtype=np.float64)
    if values.size < LEAST:
        few = f"{values.size} calibrated detections: at least {LEAST} are needed to see drift"
        return Drift(int(values.size), None, None, None, None, reason=few, expired=False)
    medians = {name: float(np.median(found)) for name, found in percentiles.items() if found.size}
    most = max(medians, key=lambda name: abs(medians[name] - 50))
    p_value = float(kstest(values / 100, "uniform").pvalue)
    auc = domain_auc(first, newest)
    middle = medians[combined]
    if abs(middle - 50) > MOST_SHIFT and p_value < LARGEST_KS_P:
        reason = f"the median percentile of the combined score is {middle:.0f} instead of 50"
        return Drift(values.size, middle, most, p_value, auc, reason=reason, expired=True)
    if auc is not None and auc > LARGEST_AUC:
        reason = f"a classifier tells the newest detections from the first with AUC {auc:.2f}"
        return Drift(values.size, middle, most, p_value, auc, reason=reason, expired=True)
    reason = f"median percentile {middle:.0f}, no drift seen"
    return Drift(values.size, middle, most, p_value, auc, reason=reason, expired=False)


def domain_auc(
    first: NDArray[np.float32] | None, newest: NDArray[np.float32] | None
) -> float | None:
    """Out-of-fold ROC-AUC of telling two sets of vectors (N, D) apart, None with too few rows."""
    if first is None or newest is None or min(len(first), len(newest)) < LEAST:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    vectors = np.concatenate([first, newest]).astype(np.float64)
    side = np.repeat([0, 1], [len(first), len(newest)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=500)
    guess = cross_val_predict(model, vectors, side, cv=folds, method="predict_proba")[:, 1]
    return roc_auc(guess[side == 0], guess[side == 1])
