"""Challenger against champion on held-out labels: who may take the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
LEVEL = 0.95
BINS = 10
LEAST_HELD_OUT = 10
LEAST_OF_EACH = 3
HIGHER_IS_BETTER = {
    "accuracy": True, "near_ood_auroc": True, "calibration_error": False, "agreement": True,
}  # fmt: skip
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """What no model was fitted on, all (N,): `keys` the frames, which are drawn as a whole.

    `labelled` rows have an answer in `liked`; `votes` counts the people behind it. `odd` are rows
    that are near misses, uncertain or candidates by the machine, and `normal` those that are not.
    """

    keys: NDArray[np.str_]
    labelled: Bools
    liked: Bools
    votes: NDArray[np.int64]
    odd: Bools
    normal: Bools


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is promoted, why, and the figures of both with their intervals."""

    promoted: bool
    reason: str
    figures: dict[str, Any]


def contest(held_out: HeldOut, champion: Floats, challenger: Floats, *, seed: int = 0) -> Verdict:
    """Compare two models' probabilities (N,) on the same held-out rows.

    The challenger is refused when any figure is worse than the champion's 95 % bootstrap interval
    (whole frames are drawn, 1000 times) allows, when it brings nothing, or when too little is held
    out to tell: `near_ood_auroc` is of the machine's near misses and candidates against its
    normals, `agreement` is Cohen's kappa with the answers of two people or more (of all people
    where fewer than ten have two).
    """
    answers = held_out.liked[held_out.labelled]
    few = min(int(answers.sum()), int((~answers).sum()))
    if len(answers) < LEAST_HELD_OUT or few < LEAST_OF_EACH:
        reason = (
            f"{len(answers)} held-out labels, {few} of the rarer answer: at least "
            f"{LEAST_HELD_OUT} and {LEAST_OF_EACH} are needed to tell which model is better"
        )
        return Verdict(promoted=False, reason=reason, figures={})
    before, after = measured(held_out, champion), measured(held_out, challenger)
    intervals = bootstrap(held_out, champion, seed=seed)
    figures = {
        name: {
            "champion": before[name], "challenger": after[name],
            "low": intervals[name][0], "high": intervals[name][1],
        }
        for name in before
    }  # fmt: skip
    figures["held_out"] = {"labels": len(answers), "liked": int(answers.sum())}
    worse = [name for name in before if _is_beyond(name, after[name], intervals[name])]
    if worse:
        said = ", ".join(
            f"{name} {after[name]:.3f} (interval {intervals[name][0]:.3f} to "
            f"{intervals[name][1]:.3f})"
            for name in worse
        )
        return Verdict(promoted=False, reason=f"worse on held-out labels: {said}", figures=figures)
    better = [name for name in before if _is_better(name, before[name], after[name])]
    if not better:
        return Verdict(promoted=False, reason="it brings nothing", figures=figures)
    said = ", ".join(f"{name} {before[name]:.3f} to {after[name]:.3f}" for name in better)
    return Verdict(promoted=True, reason=f"better on held-out labels: {said}", figures=figures)


def measured(held_out: HeldOut, probability: Floats) -> dict[str, float]:
    """The four figures of one model; NaN where there is nothing to measure."""
    labelled = held_out.labelled
    answers, p = held_out.liked[labelled], probability[labelled]
    verified = held_out.votes[labelled] >= 2
    if verified.sum() < LEAST_HELD_OUT:
        verified = np.ones(len(answers), dtype=np.bool_)
    return {
        "accuracy": float(np.mean((p >= 0.5) == answers)),
        "near_ood_auroc": auroc(probability[held_out.normal], probability[held_out.odd]),
        "calibration_error": calibration_error(p, answers),
        "agreement": kappa(p[verified] >= 0.5, answers[verified]),
    }


def bootstrap(
    held_out: HeldOut, probability: Floats, *, seed: int, rounds: int = ROUNDS
) -> dict[str, tuple[float, float]]:
    """The central 95 % of each figure over draws of frames with replacement."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(held_out.keys, return_inverse=True)
    rows_of = [np.flatnonzero(group == number) for number in range(int(group.max()) + 1)]
    found: dict[str, list[float]] = {name: [] for name in HIGHER_IS_BETTER}
    for _ in range(rounds):
        drawn = rng.integers(0, len(rows_of), len(rows_of))
        rows = np.concatenate([rows_of[number] for number in drawn])
        part = HeldOut(*(getattr(held_out, name)[rows] for name in held_out.__dataclass_fields__))
        if not part.labelled.any():
            continue
        for name, value in measured(part, probability[rows]).items():
            found[name].append(value)
    tail = 100 * (1 - LEVEL) / 2
    return {
        name: (float(np.nanpercentile(v, tail)), float(np.nanpercentile(v, 100 - tail)))
        if not np.isnan(v).all()
        else (float("nan"), float("nan"))
        for name, v in found.items()
    }


def auroc(negative: Floats, positive: Floats) -> float:
    """P(positive > negative) + P(equal) / 2; NaN where either is empty."""
    if not len(negative) or not len(positive):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    upto = np.searchsorted(ordered, positive, side="right")
    return float(np.mean(below + upto) / (2 * len(ordered)))


def calibration_error(probability: Floats, answers: Bools) -> float:
    """Sum over 10 equal bins of n_b / N |share liked - mean probability| (Naeini et al. 2015)."""
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    total = 0.0
    for number in np.unique(bins):
        rows = bins == number
        total += float(rows.mean() * abs(answers[rows].mean() - probability[rows].mean()))
    return total


def kappa(one: Bools, other: Bools) -> float:
    """Cohen's kappa (Cohen 1960); 1 where both always say the same single thing."""
    observed = float(np.mean(one == other))
    by_chance = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    return 1.0 if by_chance == 1.0 else (observed - by_chance) / (1 - by_chance)


def _is_beyond(name: str, value: float, interval: tuple[float, float]) -> bool:
    low, high = interval
    return bool(value < low) if HIGHER_IS_BETTER[name] else bool(value > high)


def _is_better(name: str, before: float, after: float) -> bool:
    return bool(after > before) if HIGHER_IS_BETTER[name] else bool(after < before)
