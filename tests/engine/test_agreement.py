"""Kappa: worked by hand, and as scikit-learn computes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from engine.agreement import cohen_kappa, fleiss_kappa
from engine.errors import EngineError

CLASSES = ("accept", "reject", "unsure")


def test_two_labellers_by_hand() -> None:
    # 50 items: both yes 20, only A yes 5, only B yes 10, both no 15. p_o = 0.7,
    # p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa = 0.2 / 0.5.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(a, b)
    assert (found.items, found.observed) == (50, 0.7)
    assert found.expected == pytest.approx(0.5)
    assert found.kappa == pytest.approx(0.4)


def test_many_labellers_as_in_the_paper() -> None:
    # Ten items, five classes, fourteen labels each: the widely worked example of Fleiss' kappa.
    table = np.array(
        [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
         [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    )  # fmt: skip
    found = fleiss_kappa(table)
    assert found.observed == pytest.approx(0.378, abs=5e-4)
    assert found.expected == pytest.approx(0.213, abs=5e-4)
    assert found.kappa == pytest.approx(0.210, abs=5e-4)


def test_three_labellers_by_hand() -> None:
    # P = 1, 1/3, 1/3, 1: p_o = 2/3; shares 7/12 and 5/12: p_e = 74/144; kappa = 22/70.
    found = fleiss_kappa(np.array([[3, 0], [2, 1], [2, 1], [0, 3]]))
    assert found.observed == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx(22 / 70)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 2), min_size=2, max_size=40))
def test_scikit_learn_agrees(pairs: list[tuple[str, str]]) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = cohen_kappa(a, b).kappa
    if len({*a, *b}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(a, b))


def test_chance_that_always_agrees_says_nothing() -> None:
    assert cohen_kappa(["a", "a"], ["a", "a"]).kappa is None
    assert fleiss_kappa(np.array([[2, 0], [2, 0]])).kappa is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(EngineError, match="same items"):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(EngineError, match="same items"):
        cohen_kappa([], [])
    with pytest.raises(EngineError, match="same number of labels"):
        fleiss_kappa(np.array([[2, 0], [2, 1]]))
    with pytest.raises(EngineError, match="same number of labels"):
        fleiss_kappa(np.array([[1, 0]]))
    with pytest.raises(EngineError, match=r"expected counts \(items, classes\)"):
        fleiss_kappa(np.zeros((0, 2), dtype=int))
