"""How well a reference tells anomalies from normals, on detections it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.confounders import magnitude, score_correlations
from engine.anomalies.reference import Judged, Reference
from engine.anomalies.simulated import ANOMALY, NORMAL, Sample
from engine.metrics.ranking import average_precision, recall_at_fpr, roc_auc

RATES = (0.01, 0.05)


def ranking_figures(normal: Judged, anomalous: Judged) -> dict[str, dict[str, float]]:
    """ROC-AUC, average precision and recall at 5 % false positives, by method and combined."""
    pairs: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {
        name: (normal.raw[name], anomalous.raw[name]) for name in normal.raw
    }
    pairs["combined"] = (normal.statistic, anomalous.statistic)
    return {
        name: {
            "roc_auc": roc_auc(*pair),
            "average_precision": average_precision(*pair),
            "recall_at_5_percent_fpr": recall_at_fpr(*pair, 0.05),
        }
        for name, pair in pairs.items()
    }


def realised_rates(judged: Judged) -> dict[str, float]:
    """Share of detections with combined p at or below each nominal rate."""
    return {f"at_{rate:g}": float(np.mean(judged.p_value <= rate)) for rate in RATES}


def evaluate(reference: Reference, held_out: Sample, injected: Sample) -> dict[str, Any]:
    """Every figure of the normals of `held_out` against the anomalies of `injected`."""
    normal_rows, anomaly_rows = held_out.rows(NORMAL), injected.rows(ANOMALY)
    area, flux, snr = held_out.nuisances[normal_rows].T
    normal = reference.judge(held_out.features[normal_rows], areas=area)
    anomalous = reference.judge(injected.features[anomaly_rows])
    kinds = np.array([injected.matches[row].kind for row in anomaly_rows])
    figures: dict[str, Any] = {
        "normals": len(normal_rows),
        "anomalies": len(anomaly_rows),
        "source_images": len(set(held_out.keys)) + len(set(injected.keys)),
        "ranking": ranking_figures(normal, anomalous),
        "realised_false_positive_rate": realised_rates(normal),
        "recall": realised_rates(anomalous),
        "roc_auc_by_kind": {
            str(kind): roc_auc(normal.statistic, anomalous.statistic[kinds == kind])
            for kind in sorted(set(kinds))
        },
    }
    figures["correlation_with"] = score_correlations(
        {**normal.raw, "combined": normal.statistic},
        {"area": area, "magnitude": magnitude(flux), "signal_to_noise": snr},
    )
    if normal.conditioned_p_value is not None:
        figures["among_like_areas"] = like_areas(normal, area)
    if normal.class_names is not None:
        truth = [held_out.matches[row].kind for row in normal_rows]
        figures["class_accuracy"] = _accuracy(truth, normal.class_names)
    return figures


def like_areas(judged: Judged, area: NDArray[np.float64]) -> dict[str, Any]:
    """Realised rates at 5 % in the fifth with the smallest and with the largest sources.

    By the plain p-value and by the one among normals of like area, which is to hold in both.
    """
    p_values = {"plain": judged.p_value, "among_like_areas": judged.conditioned_p_value}
    low, high = np.nanquantile(area, [0.2, 0.8])
    groups = {"smallest_fifth": area <= low, "largest_fifth": area >= high}
    return {
        name: {which: float(np.mean(values[rows] <= 0.05)) for which, rows in groups.items()}
        for name, values in p_values.items()
        if values is not None
    }


def _accuracy(truth: list[str | None], guess: tuple[str, ...]) -> Mapping[str, float]:
    right = np.array([a == b for a, b in zip(truth, guess, strict=True)])
    kinds = np.array(truth)
    by_kind = {str(kind): float(right[kinds == kind].mean()) for kind in sorted(set(kinds))}
    majority = max(float(np.mean(kinds == kind)) for kind in set(kinds))
    return {"all": float(right.mean()), "majority_class": majority, **by_kind}
