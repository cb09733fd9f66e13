"""Clusters: names that outlive a new computation, members that join later, maps."""

from __future__ import annotations

import numpy as np
import pytest

from db import clusters
from db.clusters import Grouped, Kind
from db.errors import ConflictError, StoreError
from db.queries import clusters as listed
from db.store import Store
from tests.db.conftest import NOW
from tests.db.queries import rows

KIND = Kind("e", 2)
NAMES = tuple("abcdefgh")


@pytest.fixture
def eight(store: Store) -> Store:
    """Eight current candidates a..h with vectors, most anomalous first, and one normal."""
    store.write(
        {
            "frames": [rows.frame("f")],
            "runs": [rows.run("r", "f")],
            "detections": [
                *(rows.detection(name, p_value=0.001 * place, verdict="candidate")
                  for place, name in enumerate(NAMES, start=1)),
                rows.detection("plain"),
            ],
            "embeddings": [
                {"detection_id": name, "embedder": "e", "vector": [1.0, float(place)]}
                for place, name in enumerate((*NAMES, "plain"))
            ],
        }
    )  # fmt: skip
    return store


def keep(store: Store, name: str, *groups: str) -> int:
    """Keep a clustering whose groups are words of detections' letters."""
    number = {letter: place for place, word in enumerate(groups) for letter in word}
    found = Grouped(
        np.array([number.get(letter, -1) for letter in NAMES]),
        np.array([0.9 if letter in number else np.nan for letter in NAMES]),
        np.eye(2, dtype=np.float32)[: len(groups)],
        tuple(NAMES.index(word[0]) for word in groups),
    )
    return clusters.keep_clustering(
        store, KIND, NAMES, found, clustering_id=name, close=0.5, fewest=2,
        verdicts=("candidate",), asked_by="t", now=NOW.replace(minute=len(name)),
    )  # fmt: skip


def members(store: Store) -> dict[str, str]:
    """The letters of each current cluster by its key."""
    found: dict[str, str] = {}
    for row in store.rows("SELECT * FROM current_cluster_members ORDER BY detection_id"):
        found[row["cluster_key"]] = found.get(row["cluster_key"], "") + row["detection_id"]
    return found


def test_vectors_come_most_anomalous_first_and_only_of_the_verdicts_asked_for(eight: Store) -> None:
    ids, vectors = clusters.vectors_of(eight, KIND, ("candidate",), 100)
    assert ids == NAMES
    assert vectors[2].tolist() == [1.0, 2.0]
    assert clusters.vectors_of(eight, KIND, (), 100)[0] == (*NAMES, "plain")
    assert clusters.vectors_of(eight, KIND, (), 3)[0] == ("a", "b", "c")
    assert clusters.kinds(eight) == [KIND]


def test_a_name_goes_on_with_the_cluster_that_keeps_most_members(eight: Store) -> None:
    assert keep(eight, "c", "abcd", "efg") == 2
    assert members(eight) == {"c-0": "abcd", "c-1": "efg"}
    clusters.name_cluster(
        eight, naming_id="n", cluster_key="c-0", name=" Rings  of fire", named_by="ann", now=NOW
    )
    keep(eight, "cc", "defg", "abc")
    assert members(eight) == {"c-1": "defg", "c-0": "abc"}
    named = {row["cluster_key"]: (row["name"], row["named_by"]) for row in listed.clusters(eight)}
    assert named == {"c-0": ("Rings of fire", "ann"), "c-1": (None, None)}


def test_half_of_the_members_are_not_enough_to_inherit_a_key(eight: Store) -> None:
    keep(eight, "c", "abcd")
    keep(eight, "cc", "ab", "cd")
    assert members(eight) == {"cc-0": "ab", "cc-1": "cd"}


def test_the_same_clustering_again_changes_nothing(eight: Store) -> None:
    keep(eight, "c", "abcd")
    before = eight.rows("SELECT * FROM clusters")
    keep(eight, "c", "abcd")
    assert eight.rows("SELECT * FROM clusters") == before
    assert len(eight.rows("SELECT * FROM cluster_members")) == 8


def test_the_list_counts_current_members_and_shows_an_example(eight: Store) -> None:
    keep(eight, "c", "abcd", "efg")
    big, small = listed.clusters(eight)
    assert (big["size"], big["candidates"], big["example"], small["size"]) == (4, 4, "a", 3)
    (made,) = listed.clusterings(eight)
    assert (made["clusters"], made["grouped"], made["detections"]) == (2, 7, 8)


def test_what_came_later_is_found_once_and_joins(eight: Store) -> None:
    keep(eight, "c", "abcd")
    assert clusters.unplaced(eight, KIND) is None
    eight.write(
        {
            "detections": [rows.detection("new", verdict="candidate")],
            "embeddings": [{"detection_id": "new", "embedder": "e", "vector": [1.0, 1.0]}],
        }
    )
    found = clusters.unplaced(eight, KIND)
    assert found is not None
    clustering_id, ids, vectors, centres = found
    assert (clustering_id, ids, vectors.tolist()) == ("c", ("new",), [[1.0, 1.0]])
    assert centres.tolist() == [[1.0, 0.0]]
    clusters.place(eight, "c", ids, np.array([0]), np.array([0.7]), NOW)
    assert members(eight) == {"c-0": "abcdnew"}
    assert clusters.unplaced(eight, KIND) is None


def test_names_are_a_log_and_an_empty_one_takes_the_name_away(eight: Store) -> None:
    keep(eight, "c", "abcd")

    def name(naming_id: str, text: str, minute: int) -> None:
        clusters.name_cluster(
            eight, naming_id=naming_id, cluster_key="c-0", name=text, named_by="ann",
            now=NOW.replace(minute=minute),
        )  # fmt: skip

    name("1", "arcs", 1)
    name("1", "arcs", 9)
    name("2", "", 2)
    assert listed.clusters(eight)[0]["name"] is None
    assert len(eight.rows("SELECT * FROM cluster_names")) == 2
    with pytest.raises(ConflictError, match="said something else"):
        name("1", "rings", 3)


@pytest.mark.parametrize(
    ("key", "name", "by", "said"),
    [
        ("none", "arcs", "ann", "unknown"),
        ("c-0", "x" * 81, "ann", "at most 80"),
        ("c-0", "arcs", "  ", "an empty one"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    eight: Store, key: str, name: str, by: str, said: str
) -> None:
    keep(eight, "c", "abcd")
    with pytest.raises(StoreError, match=said):
        clusters.name_cluster(
            eight, naming_id="n", cluster_key=key, name=name, named_by=by, now=NOW
        )


def test_the_newest_map_of_a_method_holds(eight: Store) -> None:
    for number, map_id in enumerate(("old", "new")):
        clusters.keep_map(
            eight, KIND, "pca", NAMES, np.full((8, 2), number, dtype=float), map_id=map_id, seed=0,
            left_out=0, explained=0.5, asked_by="t", now=NOW.replace(minute=number),
        )  # fmt: skip
    (held,) = listed.maps(eight)
    assert (held["map_id"], held["explained"]) == ("new", 0.5)
    points = listed.map_points(eight, "new", 5)
    assert len(points) == 5
    assert {(row["x"], row["y"]) for row in points} == {(1.0, 1.0)}
