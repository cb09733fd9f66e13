"""Nearest rows, exact and by an inverted file."""

from __future__ import annotations

import numpy as np
import pytest

from db.queries.neighbours import Neighbours

RNG = np.random.default_rng(0)


def directions(rows: int, length: int = 16) -> np.ndarray:
    drawn = RNG.normal(size=(rows, length)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def test_the_nearest_rows_are_those_of_a_full_sort() -> None:
    vectors, wanted = directions(500), directions(1)[0]
    rows, cosine = Neighbours.of(vectors).nearest(3 * wanted, 7)
    expected = np.argsort(-(vectors @ wanted), kind="stable")[:7]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(cosine, (vectors @ wanted)[expected], rtol=1e-5)


@pytest.mark.parametrize(("rows", "count", "found"), [(3, 9, 3), (0, 5, 0), (4, 0, 0)])
def test_no_more_rows_come_than_are_there_or_asked_for(rows: int, count: int, found: int) -> None:
    assert len(Neighbours.of(directions(rows)).nearest(directions(1)[0], count)[0]) == found


@pytest.mark.slow
def test_beyond_the_limit_an_inverted_file_finds_nearly_all_of_them() -> None:
    centres = directions(40)
    near = np.repeat(centres, 150, axis=0) + 0.1 * RNG.normal(size=(6000, 16)).astype(np.float32)
    vectors = np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)
    exact, quick = Neighbours.of(vectors), Neighbours.of(vectors, faiss_from=5999)
    assert exact.index is None
    assert quick.index is not None
    shares = []
    for row in range(0, 6000, 200):
        rows, cosine = quick.nearest(vectors[row], 10)
        assert rows[0] == row
        np.testing.assert_allclose(cosine, vectors[rows] @ vectors[row], rtol=1e-4)
        shares.append(len(set(rows) & set(exact.nearest(vectors[row], 10)[0])) / 10)
    assert np.mean(shares) > 0.95


def test_without_faiss_every_search_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.queries.neighbours.importlib.util.find_spec", lambda _: None)
    assert Neighbours.of(directions(20), faiss_from=10).index is None
