"""What to label next: a batch that exploits what was learned, explores, and calibrates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.interest import next_batch
from engine.anomalies.scores.base import Scores
from engine.errors import ModelError

Reason = Literal["exploit", "explore", "calibrate"]


@dataclass(frozen=True)
class Mix:
    """Shares of a batch in [0, 1] that `explore` and `calibrate`; the rest exploits."""

    explore: float = 0.0
    calibrate: float = 0.0

    def __post_init__(self) -> None:
        if not (self.explore >= 0 and self.calibrate >= 0 and self.explore + self.calibrate <= 1):
            raise ModelError(
                "shares to explore and to calibrate must be at least 0 and at most 1 together, got "
                f"{self.explore} and {self.calibrate}"
            )


def mixed_batch(
    vectors: Scores,
    interest: Scores,
    known: Sequence[int],
    held_out: NDArray[np.bool_],
    count: int,
    mix: Mix,
    rng: np.random.Generator,
) -> list[tuple[int, Reason]]:
    """Rows to label next with their reason, in the order in which to show them.

    `vectors` float64 (N, D), `interest` float64 (N,), higher is more interesting; `known` are rows
    not to offer, `held_out` bool (N,) those of the calibration split. calibrate: drawn by `rng`
    evenly from the held-out rows, whatever their rank; explore: of the others, again and again the
    one farthest from all known and chosen ones (Gonzalez 1985, Theoretical Computer Science 38,
    293); exploit: the most interesting of what is left. The first two are spread evenly over the
    batch. Where they run out, exploit fills up.
    """
    taken = set(known)
    free = np.setdiff1d(np.flatnonzero(held_out), np.array(sorted(taken), dtype=np.int64))
    wanted = min(round(mix.calibrate * count), len(free))
    calibrate = [int(row) for row in rng.permutation(free)[:wanted]]
    taken.update(calibrate)
    explore = _farthest(vectors, sorted(taken), held_out, round(mix.explore * count))
    taken.update(explore)
    rest = count - len(calibrate) - len(explore)
    exploit = [int(row) for row in next_batch(interest, sorted(taken), rest)]
    special: list[tuple[int, Reason]] = [(row, "explore") for row in explore]
    special += [(row, "calibrate") for row in calibrate]
    return _spread([(row, "exploit") for row in exploit], special)


def _farthest(
    vectors: Scores, known: Sequence[int], held_out: NDArray[np.bool_], count: int
) -> list[int]:
    if count <= 0 or not known:
        return []
    distance = np.full(len(vectors), np.inf)
    for row in known:
        distance = np.minimum(distance, _distance(vectors, row))
    distance[held_out] = -1.0
    chosen: list[int] = []
    for _ in range(count):
        row = int(np.argmax(distance))
        if distance[row] <= 0:
            break
        chosen.append(row)
        distance = np.minimum(distance, _distance(vectors, row))
    return chosen


def _distance(vectors: Scores, row: int) -> Scores:
    return np.asarray(((vectors - vectors[row]) ** 2).sum(axis=1))


def _spread(
    many: list[tuple[int, Reason]], few: list[tuple[int, Reason]]
) -> list[tuple[int, Reason]]:
    """Put each of the few after an equal share of the many."""
    if not few:
        return many
    step = max(len(many) // len(few), 1)
    shown = list(many)
    for number, one in enumerate(few):
        shown.insert(min((number + 1) * step + number, len(shown)), one)
    return shown
