"""Evidence about detections: versions, look-alikes, copies, claims and drift."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from db.labels import add_labels
from db.queries import anomalies, evidence
from db.store import Store
from tests.store_factory import NOW, fill


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store)
    return store


def first(store: Store) -> str:
    return str(anomalies.page_of_detections(store, limit=1).rows[0]["detection_id"])


def judged(detection_id: str, perceptual_hash: str) -> dict[str, object]:
    return {
        "detection_id": detection_id,
        "good_share": 1.0,
        "perceptual_hash": perceptual_hash,
        "preprocessing": "0" * 64,
    }


def test_similar_ones_agree_with_the_cosine_in_sql_and_follow_changes(filled: Store) -> None:
    detection_id = first(filled)
    slow = anomalies.neighbours(filled, detection_id, 5)
    fast = evidence.similar(filled, detection_id, 5)
    assert [row["detection_id"] for row in fast] == [row["detection_id"] for row in slow]
    np.testing.assert_allclose(
        [row["similarity"] for row in fast], [row["similarity"] for row in slow], atol=1e-5
    )
    vector = filled.rows("SELECT vector FROM embeddings WHERE detection_id = ?", [detection_id])
    row = filled.rows("SELECT * FROM detections WHERE detection_id = ?", [detection_id])[0]
    twin = {"detection_id": "twin", "embedder": row["embedder"], "vector": vector[0]["vector"]}
    filled.write({"detections": [row | {"detection_id": "twin"}], "embeddings": [twin]})
    (nearest,) = evidence.similar(filled, detection_id, 1)
    assert (nearest["detection_id"], nearest["similarity"]) == ("twin", pytest.approx(1))


def test_vectors_are_read_anew_for_other_runs_and_not_for_a_label(filled: Store) -> None:
    detection_id = first(filled)
    cache = evidence.SearchCache()
    row = filled.rows("SELECT * FROM embeddings WHERE detection_id = ?", [detection_id])[0]
    key = row["embedder"], len(row["vector"])
    before = cache.matrix(filled, *key)
    said = {"label_id": "one", "detection_id": detection_id, "label": "accept", "labeller": "ann"}
    add_labels(filled, [said], NOW)
    assert cache.matrix(filled, *key) is before
    sql = "SELECT run_id, cycle_id FROM detections JOIN runs USING (run_id) WHERE detection_id = ?"
    run = filled.rows(sql, [detection_id])[0]
    filled.write({"run_recalls": [run | {"recall_id": "r", "recalled_at": NOW}]})
    assert cache.matrix(filled, *key) is not before


def test_more_like_this_and_less_like_that(filled: Store) -> None:
    detection_id = first(filled)
    row = filled.rows("SELECT * FROM detections WHERE detection_id = ?", [detection_id])[0]
    axes = {"a": [1, 0, 0], "b": [0, 1, 0], "between": [1, 1, 0], "third": [0, 0.2, 1]}
    filled.write(
        {
            "detections": [row | {"detection_id": name} for name in axes],
            "embeddings": [
                {"detection_id": name, "embedder": "axes", "vector": np.array(axis, np.float32)}
                for name, axis in axes.items()
            ],
        }
    )
    assert [r["detection_id"] for r in evidence.similar(filled, "a")] == ["between", "b", "third"]
    both = evidence.similar(filled, "a", more=["b"])
    assert both[0]["detection_id"] == "between"
    assert both[0]["similarity"] == pytest.approx(1)
    away = evidence.similar(filled, "a", less=["b", "nobody"])
    assert [r["detection_id"] for r in away] == ["between", "third"]
    assert away[0]["similarity"] == pytest.approx(0.5 / np.sqrt(2 * 1.25))


def test_one_without_a_vector_has_no_likes(filled: Store) -> None:
    assert evidence.similar(filled, "nobody", 5) == []


def test_duplicates_differ_in_few_bits(filled: Store) -> None:
    names = [row["detection_id"] for row in anomalies.page_of_detections(filled, limit=3).rows]
    hashes = ("00000000000000ff", "00000000000000fe", "ffffffffffffffff")
    filled.write(
        {"detection_evidence": [judged(*pair) for pair in zip(names, hashes, strict=True)]}
    )
    (found,) = evidence.duplicates(filled, names[0])
    assert (found["detection_id"], found["bits"]) == (names[1], 1)
    assert len(evidence.duplicates(filled, names[0], 64)) == 2


def test_versions_come_in_order_with_the_combined_score(filled: Store) -> None:
    detection_id = first(filled)
    for version in ("decoded", "raw", "cleaned"):
        place = {"detection_id": detection_id, "version": version}
        filled.write(
            {
                "detection_versions": [{**place, "found": version != "cleaned", "snr": 9.0}],
                "version_scores": [{**place, "method": "combined", "raw": 3.0, "p_value": 0.1}],
            }
        )
    rows = evidence.versions(filled, detection_id)
    assert [row["version"] for row in rows] == ["raw", "cleaned", "decoded"]
    assert [row["found"] for row in rows] == [True, False, True]
    assert {row["statistic"] for row in rows} == {3.0}


def test_the_newest_list_and_drift_of_each_source(filled: Store, now: datetime) -> None:
    assert evidence.latest_lists(filled) == evidence.drift(filled) == []
    detection_id = first(filled)
    for number in range(2):
        made_at = now.replace(minute=number)
        filled.write(
            {
                "night_lists": [
                    {"list_id": f"l{number}", "cycle_id": "c", "source": "sim:demo", "rate": 0.1,
                     "tested": 5, "claimed": number, "message": "m", "made_at": made_at}
                ],
                "night_list_rows": [
                    {"list_id": f"l{number}", "place": 1, "detection_id": detection_id,
                     "adjusted_p_value": 0.05, "is_discovery": True}
                ],
                "drift_reports": [
                    {"report_id": f"d{number}", "source": "sim:demo", "reference": "r",
                     "model_digest": "m", "n": 90, "expired": bool(number), "reason": "why",
                     "cycle_id": "c", "measured_at": made_at}
                ],
            }
        )  # fmt: skip
    (night,) = evidence.latest_lists(filled)
    assert (night["list_id"], night["claimed"]) == ("l1", 1)
    (row,) = evidence.list_rows(filled, "l1")
    assert row["detection_id"] == detection_id
    (report,) = evidence.drift(filled, "sim:demo")
    assert report["expired"]


def test_flares_and_products_belong_to_their_frame(filled: Store, now: datetime) -> None:
    digest = filled.rows("SELECT frame_digest FROM frames LIMIT 1")[0]["frame_digest"]
    flare = {"transient_id": "t", "frame_digest": digest, "x": 1.0, "y": 2.0, "pixels": 3,
             "first_cadence": 4, "last_cadence": 6, "peak_sigma": 9.0, "reason": "3 pixels",
             "found_at": now}  # fmt: skip
    product = {"frame_digest": digest, "kind": "variability", "product_file": "0" * 64,
               "cadences": 50, "note": "n", "made_at": now}  # fmt: skip
    filled.write({"transients": [flare], "frame_products": [product]})
    assert evidence.transients(filled, digest) == evidence.transients(filled)
    assert evidence.transients(filled, "another") == []
    assert [row["kind"] for row in evidence.products(filled, digest)] == ["variability"]
