"""Groups of anomalies: found without their number, named by later rows."""

from __future__ import annotations

import numpy as np
import pytest

from engine.anomalies.clusters import cluster
from engine.errors import ModelError

AXES = np.eye(4, dtype=np.float32)


def around(axis: int, count: int, seed: int) -> np.ndarray:
    noise = 0.1 * np.random.default_rng(seed).normal(size=(count, 4))
    return (3 * AXES[axis] + noise).astype(np.float32)


VECTORS = np.concatenate([around(1, 4, 0), around(0, 7, 1), AXES[2:3], AXES[3:4]])


def test_groups_are_found_largest_first_and_loners_stay_alone() -> None:
    found = cluster(VECTORS)
    assert found.counts == (7, 4)
    assert found.groups.tolist() == [1] * 4 + [0] * 7 + [-1, -1]
    assert found.groups[list(found.examples)].tolist() == [0, 1]
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1, rtol=1e-5)


def test_the_length_of_vectors_does_not_matter() -> None:
    scale = np.linspace(0.1, 9, len(VECTORS), dtype=np.float32)[:, None]
    np.testing.assert_array_equal(cluster(VECTORS * scale).groups, cluster(VECTORS).groups)


def test_new_rows_join_the_group_that_has_a_name() -> None:
    found = cluster(VECTORS)
    new = np.stack([AXES[0], AXES[1], AXES[3]])
    assert found.nearest(new).tolist() == [0, 1, -1]


def test_two_rows_are_no_group() -> None:
    found = cluster(VECTORS[:2])
    assert (found.counts, found.groups.tolist()) == ((), [-1, -1])
    assert found.nearest(AXES[:1]).tolist() == [-1]


def test_vectors_and_closeness_must_make_sense() -> None:
    with pytest.raises(ModelError, match="finite rows"):
        cluster(np.full((5, 3), np.nan, np.float32))
    with pytest.raises(ModelError, match="a cosine between -1 and 1"):
        cluster(VECTORS, close=1.0)
