from __future__ import annotations

import pytest

from db.queries import anomalies
from db.store import Store
from tests.db.queries import rows


@pytest.fixture
def ranked(store: Store) -> Store:
    """Four current detections, one of a replaced run, and what two people said of them."""
    store.write(
        {
            "frames": [rows.frame("f"), rows.frame("g")],
            "observations": [
                rows.observation("f", object_id="Ring"),
                rows.observation("g", source="folder", object_id="Arc"),
            ],
            "models": [
                {
                    "model_digest": "model",
                    "name": "vit",
                    "pipeline": "anomaly",
                    "card": {},
                    "registered_at": rows.T0,
                }
            ],
            "runs": [
                rows.run("gone", "f", finished_at=rows.at(-9), model_digest="old"),
                rows.run("r", "f"),
                rows.run("s", "g"),
            ],
            "detections": [
                rows.detection("replaced", "gone", p_value=0.0001),
                rows.detection("a", p_value=0.2),
                rows.detection("b", p_value=0.01, verdict="candidate", reason="far from all"),
                rows.detection("c", p_value=None, verdict="uncertain", rank_score=5.0),
                rows.detection("d", "s", frame_digest="g", p_value=0.03, verdict="near_miss"),
            ],
            "labels": [
                rows.label("1", "a", "accept", "ann"),
                rows.label("2", "a", "reject", "bob"),
                rows.label("3", "b", "accept", "ann"),
                rows.undo("4", "3", "b", "ann", 1),
                rows.label("5", "d", "accept", "ann"),
                rows.label("6", "d", "unsure", "ann", labelled_at=rows.at(2)),
            ],
            "embeddings": [
                {"detection_id": name, "embedder": embedder, "vector": vector}
                for name, embedder, vector in [
                    ("a", "e", [1.0, 0.0]),
                    ("b", "e", [1.0, 1.0]),
                    ("c", "e", [0.0, 2.0]),
                    ("d", "another", [1.0, 0.0]),
                    ("replaced", "e", [1.0, 0.0]),
                ]
            ],
        }
    )
    return store


def found(store: Store, **wanted: str) -> list[str]:
    return [row["detection_id"] for row in anomalies.page_of_detections(store, **wanted).rows]


def test_the_most_anomalous_come_first_and_replaced_runs_not_at_all(ranked: Store) -> None:
    assert found(ranked) == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"verdict": "candidate"}, ["b"]),
        ({"source": "folder"}, ["d"]),
        ({"label": "accept"}, ["a"]),
        ({"label": "reject"}, ["a"]),
        ({"label": "unsure"}, ["d"]),
        ({"label": "unlabelled"}, ["b", "c"]),
        ({"text": "FAR FROM"}, ["b"]),
        ({"text": "arc"}, ["d"]),
        ({"verdict": "candidate", "source": "folder"}, []),
    ],
)
def test_facets_narrow_the_list(ranked: Store, wanted: dict[str, str], expected: list[str]) -> None:
    assert found(ranked, **wanted) == expected


def test_each_row_says_what_people_said_apart_from_the_verdict(ranked: Store) -> None:
    by_id = {row["detection_id"]: row for row in anomalies.page_of_detections(ranked).rows}
    said = {name: (row["accepts"], row["rejects"], row["unsures"]) for name, row in by_id.items()}
    assert said == {"a": (1, 1, 0), "b": (0, 0, 0), "c": (0, 0, 0), "d": (0, 0, 1)}
    assert by_id["a"]["model"] == "vit"


def test_counts_by_verdict_and_label(ranked: Store) -> None:
    assert [(row["verdict"], row["n"]) for row in anomalies.verdict_counts(ranked)] == [
        ("candidate", 1),
        ("near_miss", 1),
        ("normal", 1),
        ("uncertain", 1),
    ]
    counted = anomalies.label_counts(ranked)
    assert counted == {"accept": 1, "reject": 1, "unsure": 1, "unlabelled": 2}


def test_p_values_fall_into_bins_that_are_closed_above(ranked: Store) -> None:
    bins = anomalies.p_values(ranked, bins=5)
    assert [row["n"] for row in bins] == [3, 0, 0, 0, 0]
    assert (bins[0]["low"], bins[0]["high"]) == (0.0, 0.2)
    assert sum(row["n"] for row in anomalies.p_values(ranked, bins=100)) == 3


def test_neighbours_are_of_the_same_embedder_and_ordered_by_cosine(ranked: Store) -> None:
    near = anomalies.neighbours(ranked, "a")
    assert [row["detection_id"] for row in near] == ["b", "c"]
    assert [row["similarity"] for row in near] == pytest.approx([0.5**0.5, 0.0], abs=1e-6)


def test_a_replaced_detection_can_still_be_opened(ranked: Store) -> None:
    old, new = anomalies.detection(ranked, "replaced"), anomalies.detection(ranked, "a")
    assert old is not None
    assert new is not None
    assert (old["current"], new["current"]) == (False, True)
    assert new["object_id"] == "Ring"
    assert anomalies.detection(ranked, "none") is None


def test_the_label_log_keeps_what_was_taken_back(ranked: Store) -> None:
    log = anomalies.label_log(ranked, "b")
    assert [(row["label"], row["current"]) for row in log] == [("accept", False), ("undo", False)]


def test_scores_come_most_significant_first(store: Store) -> None:
    store.write(
        {
            "scores": [
                {"detection_id": "a", "method": m, "raw": 1.0, "percentile": None, "p_value": p}
                for m, p in (("knn", 0.5), ("pca", None), ("maha", 0.1))
            ]
        }
    )
    assert [row["method"] for row in anomalies.scores(store, "a")] == ["maha", "knn", "pca"]


def test_detections_of_a_frame(ranked: Store) -> None:
    assert [d["detection_id"] for d in anomalies.detections_of_frame(ranked, "f")] == [
        "b",
        "a",
        "c",
    ]


def test_artefacts_come_after_all_others_on_every_page(ranked: Store) -> None:
    ranked.write(
        {
            "detections": [
                rows.detection("trail", p_value=0.0001, verdict="artefact"),
                rows.detection("column", p_value=None, verdict="artefact"),
            ]
        }
    )
    seen, cursor = list[str](), None
    while True:
        page = anomalies.page_of_detections(ranked, limit=1, cursor=cursor)
        seen += [row["detection_id"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["b", "d", "a", "c", "trail", "column"]
