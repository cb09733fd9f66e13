"""What to label next: a stated mix, no row twice, none that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomalies.batching import Mix, mixed_batch
from engine.anomalies.interest import next_batch
from engine.errors import ModelError

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(60, 4))
INTEREST = RNG.random(60)
HELD_OUT = np.arange(60) % 3 == 0


def batch(known: list[int], count: int, mix: Mix, seed: int = 0) -> list[tuple[int, str]]:
    rng = np.random.default_rng(seed)
    return list(mixed_batch(VECTORS, INTEREST, known, HELD_OUT, count, mix, rng))


def test_without_a_mix_it_is_the_learners_own_batch() -> None:
    rows = [row for row, _ in batch([3, 5], 20, Mix())]
    assert rows == next_batch(INTEREST, [3, 5], 20).tolist()


def test_shares_are_kept_and_spread() -> None:
    found = batch([1, 2], 20, Mix(0.1, 0.2))
    reasons = [reason for _, reason in found]
    assert {name: reasons.count(name) for name in set(reasons)} == {
        "exploit": 14, "explore": 2, "calibrate": 4,
    }  # fmt: skip
    assert reasons[:2] == ["exploit", "exploit"]
    assert "exploit" in reasons[-4:]


def test_exploring_goes_where_nothing_is_labelled() -> None:
    line = np.arange(10, dtype=np.float64)[:, None]
    held = np.zeros(10, dtype=np.bool_)
    held[9] = True
    rng = np.random.default_rng(0)
    found = mixed_batch(line, np.zeros(10), [0], held, 4, Mix(explore=0.5), rng)
    # 9 is held out, so 8 is the farthest from 0; then 4 lies in the middle.
    assert {row for row, reason in found if reason == "explore"} == {8, 4}


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 59), max_size=40), st.integers(1, 30), st.floats(0, 0.5),
    st.floats(0, 0.5),
)  # fmt: skip
def test_no_row_comes_twice_and_none_is_known(
    known: set[int], count: int, explore: float, calibrate: float
) -> None:
    found = batch(sorted(known), count, Mix(explore, calibrate))
    rows = [row for row, _ in found]
    assert len(rows) == len(set(rows)) == min(count, 60 - len(known))
    assert not known & set(rows)
    assert all(HELD_OUT[row] for row, reason in found if reason == "calibrate")
    assert not any(HELD_OUT[row] for row, reason in found if reason == "explore")


def test_shares_must_fit() -> None:
    with pytest.raises(ModelError, match="at most 1 together"):
        Mix(0.7, 0.4)
