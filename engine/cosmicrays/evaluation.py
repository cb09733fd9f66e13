"""Figures of a detector on labelled frames: how much it finds, and how far it can be believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cosmicrays.holdouts import LabelledFrame
from engine.cosmicrays.intervals import block_numbers
from engine.frame import Mask, Pixels
from engine.metrics.calibration import CalibrationReport, calibration_report, ece, tempered
from engine.metrics.ranking import recall_at_fpr

FALSE_POSITIVE_RATES = (1e-4, 1e-3, 5e-3, 1e-2)
SEEN_PROBABILITY = 0.01

Detector = Callable[[LabelledFrame], Pixels]


@dataclass(frozen=True)
class Judged:
    """A detector's probabilities on the pixels of one data set that count, frame by frame."""

    dataset: str
    probability: tuple[NDArray[np.float32], ...]
    truth: tuple[Mask, ...]
    block: tuple[NDArray[np.int32], ...] = ()

    def pooled(self) -> tuple[NDArray[np.float32], Mask]:
        """All pixels of all frames together."""
        return np.concatenate(self.probability), np.concatenate(self.truth)

    def report(self) -> CalibrationReport:
        """The full calibration report over the pooled pixels."""
        probability, truth = self.pooled()
        return calibration_report(probability, truth, dataset=self.dataset)

    def tempered(self, by: float) -> Judged:
        """The same pixels with every logit divided by a temperature."""
        cooled = tuple(tempered(p, by).astype(np.float32) for p in self.probability)
        return replace(self, probability=cooled)

    def blocks(self) -> NDArray[np.int32]:
        """The block of 64 x 64 pixels that each of the pooled pixels lies in."""
        first = 0
        numbers = []
        for block in self.block:
            numbers.append(block + np.int32(first))
            first += int(block.max()) + 1
        return np.concatenate(numbers)


def judge(detector: Detector, frames: Sequence[LabelledFrame]) -> Judged:
    """Run a detector on the frames of one data set and keep the pixels that count."""
    kept = [~frame.ignore for frame in frames]
    return Judged(
        frames[0].dataset,
        tuple(detector(frame)[keep] for frame, keep in zip(frames, kept, strict=True)),
        tuple(frame.truth[keep] for frame, keep in zip(frames, kept, strict=True)),
        tuple(block_numbers(keep.shape)[keep] for keep in kept),
    )


def recall_figures(judged: Judged) -> dict[str, Any]:
    """True-positive rate at each false-positive rate: mean over frames, spread, each frame.

    Keys "tpr_at_fpr_0.0001" and so on; the spread is the standard deviation over frames.
    """
    figures: dict[str, Any] = {}
    for rate in FALSE_POSITIVE_RATES:
        each = [
            recall_at_fpr(probability[~truth], probability[truth], rate)
            for probability, truth in zip(judged.probability, judged.truth, strict=True)
        ]
        figures[f"tpr_at_fpr_{rate:g}"] = float(np.mean(each))
        figures[f"tpr_at_fpr_{rate:g}_spread"] = float(np.std(each))
    return figures


def calibration_figures(judged: Judged) -> dict[str, float]:
    """Brier, NLL, AURC, and ECE with both binnings, over all pixels and over those with p >= 0.01.

    Almost all pixels are easy negatives, so that errors over all of them are tiny for any method.
    """
    probability, truth = judged.pooled()
    report = judged.report()
    seen = probability >= SEEN_PROBABILITY
    figures = {
        "brier": report.brier,
        "nll": report.nll,
        "aurc": report.aurc,
        "ece_equal_width": report.ece,
        "ece_equal_mass": report.ece_equal_mass,
        "ece_by_class": report.ece_by_class,
        "pixels": float(report.n),
        "positives": float(report.positives),
    }
    if seen.any():
        p, y = probability[seen], truth[seen]
        figures["ece_equal_width_p_ge_0.01"] = ece(p, y)
        figures["ece_equal_mass_p_ge_0.01"] = ece(p, y, scheme="equal_mass")
    return figures
