"""A threshold with a promise: at most this share of a hit's pixels is missed, on average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.errors import CalibrationError
from engine.frame import Mask, Pixels

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
STORED_POINTS = 400
ROUNDING = 1e-12

Probabilities = NDArray[np.floating[Any]]


def conformal_threshold(hits: Sequence[Probabilities], alpha: float) -> float:
    """The highest threshold whose expected share of missed pixels of a new hit is at most `alpha`.

    `hits` holds one array of probabilities a labelled hit, over its pixels; `alpha` in (0, 1). A
    pixel is missed when its probability is at most the threshold. With L_i(t) the missed share of
    hit i, in [0, 1] and growing with t, the threshold is the largest of those probabilities t with
    (sum_i L_i(t) + 1) / (n + 1) <= alpha: conformal risk control (Angelopoulos et al. 2022). The
    bound E[L_new] <= alpha holds whatever the detector, for hits exchangeable with those given:
    hits are the units, each counting alike, since pixels of one hit are not independent.
    Raises CalibrationError where there are too few hits for `alpha`, ValueError on other values.
    """
    return _highest(*_missed_shares(hits), len(hits), alpha)


@dataclass(frozen=True)
class MissCalibration:
    """What a model card keeps so that a threshold can be had for any miss rate later.

    `missed[i]` is the sum over `hits` calibration hits of the share of the hit's pixels with a
    probability of at most `probability[i]`; both grow. `datasets` says where the hits are from.
    """

    hits: int
    datasets: tuple[str, ...]
    probability: tuple[float, ...]
    missed: tuple[float, ...]

    @classmethod
    def of(cls, hits: Sequence[Probabilities], datasets: Sequence[str]) -> MissCalibration:
        """Condense the calibration hits to at most 400 points, never to a laxer threshold.

        Raises CalibrationError without a hit.
        """
        probability, missed = _missed_shares(hits)
        kept = np.unique(np.linspace(0, missed.size - 1, STORED_POINTS).astype(int))
        return cls(
            len(hits),
            tuple(datasets),
            tuple(float(value) for value in probability[kept]),
            tuple(float(value) for value in missed[kept]),
        )

    def threshold(self, alpha: float) -> float:
        """The threshold for a miss rate, as `conformal_threshold` or a little below it.

        Raises as `conformal_threshold`.
        """
        return _highest(np.array(self.probability), np.array(self.missed), self.hits, alpha)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for a card."""
        return {"unit": "hit", **asdict(self)}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> MissCalibration:
        """What `as_dict` made. Raises CalibrationError on anything else."""
        try:
            return cls(
                int(stored["hits"]),
                tuple(stored["datasets"]),
                tuple(float(value) for value in stored["probability"]),
                tuple(float(value) for value in stored["missed"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                f"the card's calibration of missed pixels cannot be read ({error!r}): "
                "publish the model again"
            ) from error


def hits_of(probability: Pixels, truth: Mask) -> list[Probabilities]:
    """The probabilities of each labelled hit: the 8-connected groups of `truth`, bool (H, W)."""
    groups, count = ndimage.label(truth, structure=EIGHT_NEIGHBOURS)
    inside = groups[truth]
    order = np.argsort(inside, kind="stable")
    edges = np.cumsum(np.bincount(inside, minlength=count + 1))[1:-1]
    return list(np.split(probability[truth][order], edges)) if count else []


def _missed_shares(
    hits: Sequence[Probabilities],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every probability that occurs, rising, and the sum of the shares missed at that threshold."""
    if not hits or any(one.size == 0 for one in hits):
        raise CalibrationError("a miss rate is calibrated on labelled hits: give at least one")
    probability = np.concatenate(hits).astype(np.float64)
    weight = np.concatenate([np.full(one.size, 1 / one.size) for one in hits])
    order = np.argsort(probability, kind="stable")
    ordered, missed = probability[order], np.cumsum(weight[order])
    last_of_its_value = np.append(ordered[1:] > ordered[:-1], True)
    return ordered[last_of_its_value], missed[last_of_its_value]


def _highest(
    probability: NDArray[np.float64], missed: NDArray[np.float64], hits: int, alpha: float
) -> float:
    """The last probability that may be missed, or just below the first where none may."""
    if not 0 < alpha < 1:
        raise ValueError(f"a miss rate must be between 0 and 1, got {alpha}")
    allowed = alpha * (hits + 1) - 1
    if allowed < 0:
        raise CalibrationError(
            f"a miss rate of {alpha:g} needs at least {ceil(1 / alpha) - 1} labelled hits, "
            f"{hits} were calibrated on: choose a larger rate"
        )
    kept = int(np.searchsorted(missed, allowed * (1 + ROUNDING), side="right"))
    if kept:
        return float(probability[kept - 1])
    return max(0.0, float(np.nextafter(np.float32(probability[0]), np.float32(-1))))
