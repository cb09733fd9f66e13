"""From raw scores to percentiles and p-values, against scores that fitting never saw.

Raw scores of different units are never added. Each becomes a p-value first; the p-values of the
methods that vote are combined by Fisher's method, and the combination, whose members are not
independent, is calibrated again on the same held-out split. Fisher rather than the mean rank: it
ranked better on the sources kept for choosing (docs/results/anomaly.json), and the tail of one
method is not diluted by the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.scores.base import Scores
from engine.errors import CalibrationError

MIN_CALIBRATION = 19
TAIL_SHARE = 0.1
MIN_TAIL = 5

CombinationRule = Literal["fisher", "mean_rank"]


@dataclass(frozen=True)
class Calibration:
    """Held-out scores of one method, ascending float64 (n,), higher = more anomalous.

    Raises CalibrationError below 19 scores (with fewer, no p-value can reach 0.05) or when one is
    not finite.
    """

    scores: Scores

    def __post_init__(self) -> None:
        if len(self.scores) < MIN_CALIBRATION:
            raise CalibrationError(
                f"calibration needs at least {MIN_CALIBRATION} held-out scores, got "
                f"{len(self.scores)}: add reference images (their images are split by hash, so "
                "about four times as many are needed in all)"
            )
        if not np.isfinite(self.scores).all():
            raise CalibrationError("calibration scores must be finite: check the reference images")

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Calibration:
        """Calibration from held-out scores in any order."""
        return cls(np.sort(np.asarray(scores, dtype=np.float64)))

    @property
    def size(self) -> int:
        """Number of held-out scores n; the smallest p-value is 1 / (n + 1)."""
        return len(self.scores)

    def percentile(self, raw: NDArray[np.floating]) -> Scores:
        """Share of calibration scores below `raw` (ties half), in [0, 100]."""
        below = np.searchsorted(self.scores, raw, side="left")
        upto = np.searchsorted(self.scores, raw, side="right")
        return np.asarray(50.0 * (below + upto) / self.size, dtype=np.float64)

    def p_value(self, raw: NDArray[np.floating], own: NDArray[np.bool_] | None = None) -> Scores:
        """Split-conformal p-value (1 + #{calibration >= raw}) / (n + 1), in (0, 1].

        For a new normal exchangeable with the calibration split, P(p <= a) <= a. Vovk et al.
        (2005), "Algorithmic Learning in a Random World"; Bates et al. (2023), Annals of Stat. 51.
        Rows with `own` True are themselves among the calibration scores and are left out of their
        own count: max(1, #{calibration >= raw}) / n.
        """
        at_least = self.size - np.searchsorted(self.scores, raw, side="left")
        p_values = (1.0 + at_least) / (self.size + 1.0)
        if own is not None:
            p_values = np.where(own, np.maximum(at_least, 1.0) / self.size, p_values)
        return np.asarray(p_values, dtype=np.float64)

    def log_tail(self, raw: NDArray[np.floating]) -> Scores:
        """log of a tail probability without ties: conformal inside, exponential above.

        Above the (k+1)-th largest calibration score u, with k a tenth of n (at least 5), the tail
        is (k + 1) / (n + 1) * exp(-(raw - u) / mean excess over u): peaks over threshold (Pickands
        1975, Annals of Stat. 3). It orders scores beyond the calibration range and is only ever
        used inside a combination that is calibrated again.
        """
        count = min(max(MIN_TAIL, int(TAIL_SHARE * self.size)), self.size - 1)
        start = self.scores[-count - 1]
        excess = float(np.mean(self.scores[-count:] - start))
        if excess <= 0:
            return np.asarray(np.log(self.p_value(raw)), dtype=np.float64)
        tail = np.log((count + 1.0) / (self.size + 1.0)) - (raw - start) / excess
        return np.where(raw > start, tail, np.log(self.p_value(raw)))


@dataclass(frozen=True)
class Combination:
    """One statistic of the voting methods, calibrated on the held-out split; higher = odder.

    By rule: "fisher" is -2 sum log p (Fisher 1932, "Statistical Methods for Research Workers"),
    "mean_rank" the mean of 1 - p over the members, p the tail of `log_tail` in both. The members
    are correlated, so no textbook law holds for either; the p-value is split-conformal on the
    statistic itself.
    """

    members: tuple[str, ...]
    calibration: Calibration
    rule: CombinationRule = "fisher"

    @classmethod
    def fit(
        cls,
        members: Sequence[str],
        calibrations: Mapping[str, Calibration],
        held_out: Scores,
        rule: CombinationRule = "fisher",
    ) -> Combination:
        """Fit on the held-out raw scores (n, len(members)) that the calibrations were made of."""
        statistic = _terms(members, calibrations, held_out, rule).sum(axis=1)
        return cls(tuple(members), Calibration.of(statistic), rule)

    def statistic(self, calibrations: Mapping[str, Calibration], raw: Scores) -> Scores:
        """The statistic float64 (N,) of raw scores (N, members); higher = more anomalous."""
        terms = _terms(self.members, calibrations, raw, self.rule)
        return np.asarray(terms.sum(axis=1), dtype=np.float64)

    def contributions(self, calibrations: Mapping[str, Calibration], raw: Scores) -> Scores:
        """Each member's share of the statistic, float64 (N, members); rows sum to 1."""
        terms = np.maximum(_terms(self.members, calibrations, raw, self.rule), 1e-12)
        return np.asarray(terms / terms.sum(axis=1, keepdims=True), dtype=np.float64)


def _terms(
    members: Sequence[str],
    calibrations: Mapping[str, Calibration],
    raw: Scores,
    rule: CombinationRule,
) -> Scores:
    """What every member adds to the statistic, float64 (N, members)."""
    columns = []
    for index, name in enumerate(members):
        if rule == "fisher":
            columns.append(-2.0 * calibrations[name].log_tail(raw[:, index]))
        else:
            share = 1.0 - np.exp(calibrations[name].log_tail(raw[:, index]))
            columns.append(share / len(members))
    return np.stack(columns, axis=1)
