"""Whether stated rates are kept: false positives over many draws, false discoveries over nights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.calibration import Calibration
from engine.anomalies.discoveries import benjamini_hochberg

DRAWS = 200
RATE = 0.05
FDR_RATES = (0.1, 0.2)
NIGHT_NORMALS, NIGHT_ANOMALIES = 90, 10
CONTAMINATION = 0.1

Floats = NDArray[np.float64]


def realised_rates(
    held_out: Floats, fitted: Floats, calibration: int, rng: np.random.Generator
) -> dict[str, float] | None:
    """Share of test normals with p <= 5 % over 200 random draws of `calibration` of `held_out`.

    Beside it the rule that takes its threshold from the scores of the fit rows, `fitted`. None
    where fewer than 50 rows would be left to test on.
    """
    if len(held_out) < calibration + 50:
        return None
    honest, in_sample = [], []
    threshold = float(np.quantile(fitted, 1 - RATE))
    for _ in range(DRAWS):
        order = rng.permutation(len(held_out))
        test = held_out[order[calibration:]]
        p_values = Calibration.of(held_out[order[:calibration]]).p_value(test)
        honest.append(float(np.mean(p_values <= RATE)))
        in_sample.append(float(np.mean(test > threshold)))
    low, high = np.quantile(honest, [0.05, 0.95])
    return {
        "stated": RATE,
        "mean": float(np.mean(honest)),
        "quantile_5": float(low),
        "quantile_95": float(high),
        "in_sample_rule_mean": float(np.mean(in_sample)),
        "draws": DRAWS,
        "calibration": calibration,
        "test": len(held_out) - calibration,
    }


def nights(
    held_out: Floats, odd: Floats, calibration: int, rng: np.random.Generator
) -> dict[str, Any] | None:
    """False-discovery rate and power of Benjamini-Hochberg over 200 resampled nights.

    A night has 90 normals and 10 anomalies (fewer where there are fewer). `contaminated` repeats
    it with a tenth of the calibration rows anomalous. None where the normals do not suffice.
    """
    normals = min(NIGHT_NORMALS, len(held_out) - calibration)
    anomalies = min(NIGHT_ANOMALIES, len(odd) // 2)
    if normals < 30 or anomalies < 3:
        return None
    figures: dict[str, Any] = {"calibration": calibration, "nights": DRAWS}
    figures |= {"night_normals": normals, "night_anomalies": anomalies}
    for name, share in (("clean", 0.0), ("contaminated_10_percent", CONTAMINATION)):
        results: dict[float, list[tuple[float, float]]] = {rate: [] for rate in FDR_RATES}
        rates = []
        for _ in range(DRAWS):
            order, strange = rng.permutation(len(held_out)), rng.permutation(len(odd))
            spoiled = min(round(share * calibration), len(odd) - anomalies)
            rows = held_out[order[: calibration - spoiled]]
            mixed = np.concatenate([rows, odd[strange[anomalies : anomalies + spoiled]]])
            fresh = held_out[order[calibration : calibration + normals]]
            scores = np.concatenate([fresh, odd[strange[:anomalies]]])
            p_values = Calibration.of(mixed).p_value(scores)
            rates.append(float(np.mean(p_values[:normals] <= RATE)))
            for rate in FDR_RATES:
                night = benjamini_hochberg(p_values, rate=rate)
                found = night.rows if night.is_discovery else np.empty(0, np.int64)
                false = float(np.mean(found < normals)) if len(found) else 0.0
                results[rate].append((false, float(np.sum(found >= normals)) / anomalies))
        figures[name] = {
            f"at_{rate:g}": {
                "false_discovery_rate": float(np.mean([r[0] for r in pairs])),
                "power": float(np.mean([r[1] for r in pairs])),
                "nights_with_a_list": float(np.mean([r[0] > 0 or r[1] > 0 for r in pairs])),
            }
            for rate, pairs in results.items()
        } | {"false_positive_rate_at_0.05": float(np.mean(rates))}
    return figures
