"""Maps: principal axes by hand, near stays near, the same again."""

from __future__ import annotations

import numpy as np
import pytest

from engine.anomalies.maps import lay_out
from engine.errors import ModelError


def test_principal_axes_keep_the_variance_they_say() -> None:
    vectors = np.array([[3, 4, 0], [3, -4, 0], [-3, 4, 0], [-3, -4, 0]], dtype=np.float32)
    made = lay_out(vectors, "pca")
    assert made.explained == pytest.approx(1.0)
    # Scaled to length 1 the rows are (+-0.6, +-0.8): the second axis varies more.
    np.testing.assert_allclose(np.abs(made.points), [[0.8, 0.6]] * 4, atol=1e-7)
    np.testing.assert_allclose(made.points[:, 0], [0.8, -0.8, 0.8, -0.8], atol=1e-7)


def test_length_means_nothing_and_the_same_vectors_give_the_same_points() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 5)).astype(np.float32)
    scaled = vectors * rng.uniform(0.5, 4, (30, 1)).astype(np.float32)
    np.testing.assert_allclose(
        lay_out(vectors, "pca").points, lay_out(scaled, "pca").points, atol=1e-5
    )


@pytest.mark.slow
def test_neighbours_stay_neighbours_on_a_tsne_map() -> None:
    rng = np.random.default_rng(1)
    centres = np.eye(3, 8)
    group = np.repeat(np.arange(3), 15)
    vectors = (centres[group] + 0.05 * rng.normal(size=(45, 8))).astype(np.float32)
    made = lay_out(vectors, "tsne", seed=3)
    distance = np.linalg.norm(made.points[:, None] - made.points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(axis=1)] == group).all()
    np.testing.assert_array_equal(made.points, lay_out(vectors, "tsne", seed=3).points)
    assert made.explained is None


@pytest.mark.parametrize(
    ("vectors", "method", "said"),
    [
        (np.zeros((9, 3), np.float32), "umap", "no method 'umap'"),
        (np.zeros((3, 3), np.float32), "pca", "at least 4"),
        (np.full((5, 3), np.nan, np.float32), "pca", "finite rows"),
    ],
)
def test_what_cannot_be_mapped_says_why(vectors: np.ndarray, method: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        lay_out(vectors, method)
