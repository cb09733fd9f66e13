"""Which temperature a network is shipped with: one that helps on real frames, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.cosmicrays.evaluation import Judged
from engine.metrics.calibration import nll, temperature, tempered


@dataclass(frozen=True)
class TemperatureChoice:
    """The chosen temperature, those fitted, and the NLL change that each brought on the others.

    `gains` holds, for every set left out, its NLL with the temperature of the remaining sets minus
    its NLL without: negative where the temperature helps.
    """

    temperature: float
    fitted: dict[str, float]
    gains: dict[str, float]

    @property
    def reason(self) -> str:
        """Why this temperature, in a sentence for the model card."""
        if self.temperature == 1.0:
            return "identity: fitted temperatures did not help on every set they were not fitted on"
        return "fitted on real exposures held out from training and report"


def choose_temperature(sets: Sequence[Judged]) -> TemperatureChoice:
    """Fit on each real calibration set, test on the others, and keep 1 unless all of them gain.

    The temperature kept is the geometric mean of those fitted. Needs at least two sets; raises
    ValueError otherwise, CalibrationError when a set lacks a class.
    """
    if len(sets) < 2:
        raise ValueError("a temperature is fitted on one set and tested on another: give two")
    pooled = {judged.dataset: judged.pooled() for judged in sets}
    fitted = {name: temperature(p, y) for name, (p, y) in pooled.items()}
    gains = {
        name: nll(tempered(p, _others(fitted, name)), y) - nll(p, y)
        for name, (p, y) in pooled.items()
    }
    helps = all(gain < 0 for gain in gains.values())
    return TemperatureChoice(
        _geometric_mean(list(fitted.values())) if helps else 1.0, fitted, gains
    )


def _others(fitted: dict[str, float], name: str) -> float:
    return _geometric_mean([value for other, value in fitted.items() if other != name])


def _geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
