"""Ranking that learns: the prior without labels, people's taste with them, and its speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomalies.interest import (
    InterestSpace,
    like_examples,
    next_batch,
    rank_by_interest,
)
from engine.errors import ModelError

RNG = np.random.default_rng(0)
PARTS = {"deep": slice(0, 60), "morphology": slice(60, 90)}
FEATURES = (5 + RNG.normal(size=(400, 90))).astype(np.float32)
FEATURES[:20, :30] += 5  # what people like
PRIOR = RNG.normal(size=400)
PRIOR[:20] += 0.7
SPACE = InterestSpace.of(FEATURES, PARTS)


def test_parts_keep_48_and_24_components_each_at_its_own_scale() -> None:
    assert SPACE.vectors.shape == (400, 48 + 24)
    deviations = SPACE.vectors.std(axis=0)
    np.testing.assert_allclose(deviations[:48], 1 / 8, rtol=1e-6)
    np.testing.assert_allclose(deviations[48:], 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("labels", [{}, {3: False, 9: False}, {3: True}])
def test_labels_of_one_kind_leave_the_prior_as_it_is(labels: dict[int, bool]) -> None:
    order = np.argsort(-rank_by_interest(SPACE, PRIOR, labels))
    np.testing.assert_array_equal(order, np.argsort(-PRIOR))


def test_the_blend_by_hand() -> None:
    labels = {0: True, 1: True, 100: False}
    interest = rank_by_interest(SPACE, PRIOR, labels)
    oddity = (np.argsort(np.argsort(PRIOR)) + 1) / 400
    taste = (interest - 5 / 7 * oddity) / (2 / 7)
    np.testing.assert_allclose(np.sort(taste), np.arange(1, 401) / 400, atol=1e-9)


def test_what_people_like_is_found_faster_than_by_oddity() -> None:
    labels: dict[int, bool] = {}
    for _ in range(4):
        for row in next_batch(rank_by_interest(SPACE, PRIOR, labels), list(labels), 20):
            labels[int(row)] = bool(row < 20)
    alone = next_batch(PRIOR, [], 80)
    assert sum(labels.values()) >= np.sum(alone < 20) + 4


def test_a_batch_never_repeats_a_label_and_comes_best_first() -> None:
    interest = np.array([0.1, 0.9, 0.5, 0.7])
    assert list(next_batch(interest, [1], 2)) == [3, 2]
    assert list(next_batch(interest, [0, 1, 2, 3], 2)) == []


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 399), min_size=2, max_size=12), st.integers(1, 5))
def test_interest_stays_within_zero_and_one(rows: set[int], liked: int) -> None:
    labels = {row: index < liked for index, row in enumerate(sorted(rows))}
    interest = rank_by_interest(SPACE, PRIOR, labels)
    assert interest.min() > 0
    assert interest.max() <= 1


def test_ten_thousand_candidates_are_refitted_within_a_second() -> None:
    space = InterestSpace(np.random.default_rng(1).normal(size=(10_000, 72)))
    labels = {row: row % 4 == 0 for row in range(100)}
    start = time.process_time()
    rank_by_interest(space, np.arange(10_000.0), labels)
    assert time.process_time() - start < 1


def test_more_like_this_finds_its_kind_and_less_pushes_it_away() -> None:
    order, scores = like_examples(FEATURES, [0, 1, 2])
    assert not {0, 1, 2} & set(order.tolist())
    assert np.mean(order[:17] < 20) > 0.5
    assert (np.diff(scores) <= 1e-12).all()
    away, _ = like_examples(FEATURES, [], [0, 1, 2])
    assert np.mean(away[:100] < 20) < 0.05


def test_labels_and_examples_must_exist() -> None:
    with pytest.raises(ModelError, match="labels must name rows 0 to 399"):
        rank_by_interest(SPACE, PRIOR, {400: True})
    with pytest.raises(ModelError, match="one finite prior per candidate"):
        rank_by_interest(SPACE, PRIOR[:3], {})
    with pytest.raises(ModelError, match="at least one example"):
        like_examples(FEATURES, [])
    with pytest.raises(ModelError, match="examples must be rows"):
        like_examples(FEATURES, [-1])
    with pytest.raises(ModelError, match="at least 3 candidates"):
        InterestSpace.of(FEATURES[:2], PARTS)
