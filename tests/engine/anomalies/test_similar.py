"""Neighbours by embedding and near duplicates by perceptual hash."""

from __future__ import annotations

import numpy as np
import pytest

from engine.anomalies.similar import hash_distance, near_duplicate, nearest, perceptual_hash
from engine.sky import galaxy_stamp

VECTORS = np.array([[1, 0], [0, 2], [3, 3], [0, 0], [-1, 0]], dtype=np.float32)


def test_neighbours_by_hand() -> None:
    rows, cosine = nearest(np.array([2, 0], np.float32), VECTORS, 3)
    assert rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(cosine, [1, np.sqrt(0.5), 0], atol=1e-7)


def test_opposite_vectors_come_last_and_zero_is_like_nothing() -> None:
    rows, cosine = nearest(np.array([2, 0], np.float32), VECTORS, 99)
    assert rows[-1] == 4
    assert cosine[rows.tolist().index(3)] == 0


def test_vectors_of_another_dimension_are_refused() -> None:
    with pytest.raises(ValueError, match=r"vectors must be \(N, 3\)"):
        nearest(np.zeros(3, np.float32), VECTORS, 1)


def test_a_brighter_copy_is_a_near_duplicate_and_another_galaxy_is_not() -> None:
    rng = np.random.default_rng(0)
    spiral, merger = galaxy_stamp(rng, "spiral"), galaxy_stamp(rng, "merger")
    copy = perceptual_hash(3 * spiral + 100)
    assert near_duplicate(perceptual_hash(spiral), copy)
    assert not near_duplicate(perceptual_hash(spiral), perceptual_hash(merger))


def test_hashes_of_flat_and_broken_stamps_exist() -> None:
    stamp = np.zeros((32, 32), np.float32)
    holed = galaxy_stamp(np.random.default_rng(1), "spiral")
    holed[3, 3] = np.nan
    assert len(perceptual_hash(stamp)) == len(perceptual_hash(holed)) == 16


def test_distance_counts_bits() -> None:
    assert hash_distance("00000000000000ff", "0000000000000000") == 8
