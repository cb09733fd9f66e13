"""One measurement of a model's calibration: all pixels and the open ones, before and after T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.metrics.calibration import CalibrationReport, calibration_report

OPEN_PROBABILITY = 0.01
ALL, OPEN = "all", "p >= 0.01"
SHIPPED, UNTEMPERED = "shipped", "untempered"


@dataclass(frozen=True)
class Variant:
    """A report over `pixels` (ALL or OPEN) at a `stage` (SHIPPED or UNTEMPERED)."""

    pixels: str
    stage: str
    report: CalibrationReport

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values with what it is about, fit for a model card."""
        return {"pixels": self.pixels, "stage": self.stage, **self.report.as_dict()}


def measured(
    probability: ArrayLike,
    truth: ArrayLike,
    *,
    dataset: str,
    untempered: ArrayLike | None = None,
) -> tuple[Variant, ...]:
    """Report on probabilities as shipped and, where given, on those without the temperature.

    `probability` and `untempered` float in [0, 1], `truth` bool, all of one shape. Nearly all
    pixels of a frame are easy negatives, so that errors over all of them are small for any model:
    each stage is reported over all pixels and over those where either stage says p >= 0.01, the
    same ones for both. There is no open report where no pixel is open. Raises CalibrationError
    when there is no pixel at all.
    """
    stages = {SHIPPED: np.asarray(probability).ravel()}
    if untempered is not None:
        stages[UNTEMPERED] = np.asarray(untempered).ravel()
    y = np.asarray(truth, dtype=bool).ravel()
    is_open = np.any([p >= OPEN_PROBABILITY for p in stages.values()], axis=0)
    found = []
    for stage, p in stages.items():
        found.append(Variant(ALL, stage, calibration_report(p, y, dataset=dataset)))
        if is_open.any():
            over_open = calibration_report(p[is_open], y[is_open], dataset=dataset)
            found.append(Variant(OPEN, stage, over_open))
    return tuple(found)
