"""Clusters and maps as requests: computed once, placed later, refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.queries import clusters as listed
from db.store import Store
from jobs.errors import UsageError
from jobs.grouping import Grouper, cosines_with, verdicts_named
from tests.db.queries import rows
from tests.jobs import stubs
from tests.jobs.stubs import InlineWorkers, ticking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stubs.opened(tmp_path / "home") as store:
        yield store


def add(store: Store, names: str, axis: int, verdict: str = "candidate") -> None:
    """Detections along one axis of four, on the one frame."""
    rng = np.random.default_rng(axis)
    store.write(
        {
            "runs": [rows.run("r", "f")],
            "detections": [rows.detection(name, verdict=verdict) for name in names],
            "embeddings": [
                {"detection_id": name, "embedder": "e",
                 "vector": np.eye(4)[axis] + 0.1 * rng.normal(size=4)}
                for name in names
            ],
        }
    )  # fmt: skip


def grouper(store: Store) -> Grouper:
    return Grouper(store, InlineWorkers(), ticking())


def request(name: str, **payload: Any) -> dict[str, Any]:
    return {"request_id": name, "payload": payload, "asked_by": "t"}


def test_anomalies_are_grouped_and_later_ones_join(store: Store) -> None:
    add(store, "abcd", 0)
    add(store, "efg", 1)
    add(store, "hijk", 2, verdict="normal")
    steps: list[tuple[int, int]] = []
    counts = grouper(store).cluster(request("1"), lambda *step: steps.append(step))
    assert counts == {"detections": 7, "grouped": 7, "clusters": 2}
    assert steps[-1] == (1, 1)
    assert [row["size"] for row in listed.clusters(store)] == [4, 3]
    assert grouper(store).place_new() == 0
    add(store, "x", 0)
    add(store, "y", 3)
    assert grouper(store).place_new() == 2
    assert [row["size"] for row in listed.clusters(store)] == [5, 3]
    again = grouper(store).cluster(request("2", verdicts=["normal"]))
    assert again == {"detections": 4, "grouped": 4, "clusters": 1}


def test_one_kind_of_vectors_can_be_grouped_alone(store: Store) -> None:
    add(store, "abcd", 0)
    store.write(
        {
            "detections": [rows.detection(name, verdict="candidate") for name in "uvw"],
            "embeddings": [
                {"detection_id": name, "embedder": "other", "vector": [1.0, 0.01 * place]}
                for place, name in enumerate("uvw")
            ],
        }
    )
    assert grouper(store).cluster(request("1", kind="other"))["detections"] == 3
    assert {row["embedder"] for row in listed.clusters(store)} == {"other"}
    assert grouper(store).cluster(request("2"))["detections"] == 7
    with pytest.raises(UsageError, match="no search vectors of 'x': there are e, other"):
        grouper(store).cluster(request("3", kind="x"))


def test_a_request_taken_up_again_stores_nothing_twice(store: Store) -> None:
    add(store, "abcd", 0)
    grouper(store).cluster(request("1"))
    grouper(store).cluster(request("1"))
    assert len(store.rows("SELECT * FROM clusterings")) == 1
    assert len(store.rows("SELECT * FROM cluster_members")) == 4


def test_a_map_holds_every_current_detection(store: Store) -> None:
    add(store, "abcd", 0)
    add(store, "efgh", 1, verdict="normal")
    told = grouper(store).map(request("1", method="pca"))
    assert (told["detections"], told["left_out"]) == (8, 0)
    (held,) = listed.maps(store)
    points = {row["detection_id"]: row["x"] for row in listed.map_points(store, held["map_id"], 99)}
    assert len({points[name] > 0 for name in "abcd"}) == 1
    assert (points["a"] > 0) != (points["e"] > 0)


@pytest.mark.parametrize(
    ("payload", "said"), [({"close": 2}, "close must be"), ({"fewest": 1}, "fewest at least 2")]
)
def test_numbers_that_cannot_be_are_refused(
    store: Store, payload: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        grouper(store).cluster(request("1", **payload))


def test_an_empty_store_says_what_to_do(store: Store) -> None:
    with pytest.raises(UsageError, match="scan first"):
        grouper(store).cluster(request("1"))
    with pytest.raises(UsageError, match="scan first"):
        grouper(store).map(request("1"))
    with pytest.raises(UsageError, match="method must be one of"):
        grouper(store).map(request("1", method="umap"))
    with pytest.raises(UsageError, match="got 'odd'"):
        verdicts_named(["candidate", "odd"])


def test_the_cosine_is_with_the_centre_of_ones_own_group() -> None:
    vectors = np.array([[2, 0], [3, 4], [1, 1]], dtype=np.float32)
    centres = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = cosines_with(vectors, centres, np.array([0, 1, -1]))
    np.testing.assert_allclose(found, [1.0, 0.8, np.nan])
