"""Facets, intervals and orders of the list of detections, by a night that is known row by row."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from db.errors import StoreError
from db.queries import anomalies
from db.queries.wanted import SORTS, Box, Range, Wanted
from db.store import Store
from tests.db.queries import rows


@pytest.fixture
def known(store: Store) -> Store:
    """Five detections: a..c on frame f of "sim", d and e on frame g of "folder"."""
    made = {
        "a": {"p_value": 0.001, "verdict": "candidate", "class_name": "ring", "snr": 9.0},
        "b": {"p_value": 0.02, "verdict": "near_miss", "class_name": "arc", "snr": 50.0},
        "c": {"p_value": 0.5, "verdict": "normal", "snr": 5.0},
        "d": {"p_value": None, "verdict": "uncertain", "snr": None, "rank_score": None},
        "e": {"p_value": 0.0001, "verdict": "artefact", "snr": 7.0},
    }
    evidence = {"good_share": 1.0, "perceptual_hash": "0" * 16, "preprocessing": "p"}
    clusters = {"clustering_id": "g", "number": 0, "example": "a", "centre": [1.0]}
    store.write(
        {
            "frames": [rows.frame("f"), rows.frame("g")],
            "observations": [
                rows.observation("f", object_id="Ring"),
                rows.observation("g", source="folder", object_id="Arc"),
            ],
            "policies": [
                {"policy_digest": "policy", "pipeline": "anomaly", "registered_at": rows.T0,
                 "policy": {"false_positive_rate": 0.01}}
            ],
            "runs": [rows.run("r", "f"), rows.run("s", "g")],
            "detections": [
                rows.detection(
                    name, "s" if name in "de" else "r", frame_digest="g" if name in "de" else "f",
                    detected_at=rows.T0 + timedelta(days=place), **columns,
                )
                for place, (name, columns) in enumerate(made.items())
            ],
            "detection_evidence": [
                {"detection_id": "a", "conditioned_p_value": 0.3, **evidence},
                {"detection_id": "c", "conditioned_p_value": 0.01, "artefact_probability": 0.9,
                 **evidence},
            ],
            "scores": [
                {"detection_id": name, "method": "knn", "raw": 1.0, "percentile": percentile,
                 "p_value": None}
                for name, percentile in (("a", 99.0), ("b", 80.0), ("c", 10.0))
            ],
            "labels": [
                rows.label("1", "a", "accept", "ann", kind="astrophysical", grade=5),
                rows.label("2", "a", "reject", "bob", kind="known_object", grade=2),
                rows.label("3", "c", "unsure", "ann", kind="unsure", grade=4),
                rows.label("4", "d", "reject", "ann", kind="boring", grade=0),
                rows.undo("5", "4", "d", "ann", 1),
            ],
            "clusterings": [
                {"clustering_id": "g", "embedder": "e", "dimension": 1, "close": 0.5, "fewest": 2,
                 "verdicts": "candidate", "detections": 3, "grouped": 2, "asked_by": "",
                 "made_at": rows.T0}
            ],
            "clusters": [{"cluster_id": "g-0", "cluster_key": "key", **clusters}],
            "cluster_members": [
                {"clustering_id": "g", "detection_id": name, "cluster_id": cluster,
                 "joined_at": rows.T0}
                for name, cluster in (("a", "g-0"), ("b", "g-0"), ("d", None))
            ],
            "rankings": [
                {"ranking_id": "k", "cause": "t", "candidates": 2, "labelled": 2, "liked": 1,
                 "held_out": 0, "log_rows": 3, "duration_s": 0.1, "made_at": rows.T0}
            ],
            "ranking_rows": [
                {"ranking_id": "k", "detection_id": name, "place": place, "interest": 0.5}
                for place, name in enumerate("dc")
            ],
            "map_points": [
                {"map_id": "m", "detection_id": name, "x": float(place), "y": 0.0}
                for place, name in enumerate("abcde")
            ],
            "catalogue_queries": [
                rows.asked("a", "simbad", "match"), rows.asked("b", "simbad", "no_match"),
            ],
        }
    )  # fmt: skip
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), "abcde"),
        (Wanted(verdicts=("candidate", "artefact")), "ae"),
        (Wanted(sources=("folder",)), "de"),
        (Wanted(classes=("ring", "arc")), "ab"),
        (Wanted(clusters=("key",)), "ab"),
        (Wanted(clusters=("alone",)), "cde"),
        (Wanted(clusters=("key", "alone")), "abcde"),
        (Wanted(states=("match",)), "a"),
        (Wanted(states=("not_asked", "no_match")), "bcde"),
        (Wanted(labels=("reject",)), "a"),
        (Wanted(labels=("unsure", "unlabelled")), "bcde"),
        (Wanted(kinds=("known_object", "boring")), "a"),
        (Wanted(kinds=("known_object", "unsure")), "ac"),
        (Wanted(grades=("2",)), "a"),
        (Wanted(grades=("0", "4", "5")), "ac"),
        (Wanted(kinds=("unsure",), grades=("5",)), ""),
        (Wanted(since=date(2026, 1, 2), until=date(2026, 1, 3)), "bc"),
        (Wanted(text="RING"), "abc"),
        (Wanted(ranges=(Range("p_value", None, 0.02),)), "abe"),
        (Wanted(ranges=(Range("p_value", 0.01, None), Range("snr", None, 5.0))), "c"),
        (Wanted(ranges=(Range("percentile:knn", 80.0, None),)), "ab"),
        (Wanted(ranges=(Range("conditioned_p_value", None, 0.05),)), "c"),
        (Wanted(box=Box("m", (0.5, 3.5), (-1.0, 1.0))), "bcd"),
        (Wanted(box=Box("m", (0.5, 3.5), (-1.0, 1.0)), sources=("sim",)), "bc"),
    ],
)
def test_facets_and_intervals_keep_what_fits_all_of_them(
    known: Store, wanted: Wanted, found: str
) -> None:
    assert set(anomalies.ids_of(known, wanted)) == set(found)
    assert anomalies.count_of(known, wanted) == len(found)
    listed = anomalies.listed(known, wanted)
    assert set(listed.column("detection_id").to_pylist()) == set(found)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("anomalous", "abcde"),
        ("interesting", "dceab"),
        ("newest", "edcba"),
        ("brightest", "baecd"),
        ("odd_for_its_size", "caebd"),
        ("nearest_miss", "beacd"),
        ("artefact_like", "cabde"),
        ("graded", "caebd"),
    ],
)
def test_every_order_is_kept_across_pages_of_one(known: Store, sort: str, order: str) -> None:
    seen, cursor = "", None
    while True:
        page = anomalies.page_of_detections(known, limit=1, cursor=cursor, sort=sort)
        seen += "".join(row["detection_id"] for row in page.rows)
        cursor = page.next
        if cursor is None:
            break
    assert seen == order
    assert "".join(anomalies.ids_of(known, sort=sort)) == order


def test_each_order_can_be_asked_for(known: Store) -> None:
    for sort in SORTS:
        assert set(anomalies.ids_of(known, sort=sort, limit=3)) <= set("abcde")


def test_what_does_not_exist_is_named(known: Store) -> None:
    with pytest.raises(StoreError, match="no order 'random'"):
        anomalies.page_of_detections(known, sort="random")
    with pytest.raises(StoreError, match=r"no measure 'd\.p_value'"):
        anomalies.ids_of(known, Wanted(ranges=(Range("d.p_value", 0.0),)))


def test_facets_are_counted(known: Store) -> None:
    counted = anomalies.facet_counts(known)
    assert counted["verdicts"] == dict.fromkeys(
        ("artefact", "candidate", "near_miss", "normal", "uncertain"), 1
    )
    assert counted["sources"] == {"sim": 3, "folder": 2}
    assert counted["classes"] == {"arc": 1, "ring": 1}
    assert counted["clusters"] == {"key": 2}
    assert counted["states"] == {"not_asked": 3, "match": 1, "no_match": 1}
    assert counted["kinds"] == {"astrophysical": 1, "known_object": 1, "unsure": 1}
    assert counted["grades"] == {"2": 1, "4": 1, "5": 1}


def test_a_histogram_counts_between_its_edges_and_under_other_filters(known: Store) -> None:
    edges = [0.0001, 0.001, 0.02, 1.0]
    assert [row["n"] for row in anomalies.histogram(known, "p_value", edges)] == [2, 1, 1]
    narrowed = Wanted(sources=("sim",))
    assert [r["n"] for r in anomalies.histogram(known, "p_value", edges, narrowed)] == [1, 1, 1]
    percentiles = anomalies.histogram(known, "percentile:knn", [0, 50, 100])
    assert [row["n"] for row in percentiles] == [1, 2]
    assert anomalies.extent(known, "snr") == (5.0, 50.0)
    assert anomalies.extent(known, "interest") is None
    assert anomalies.methods(known) == ["knn"]
    with pytest.raises(StoreError, match="two edges or more, got 1"):
        anomalies.histogram(known, "snr", [1.0])


def test_cards_come_in_the_order_asked_for_with_what_a_list_shows(known: Store) -> None:
    cards = anomalies.detection_cards(known, ["c", "nobody", "b", "a"])
    assert [row["detection_id"] for row in cards] == ["c", "b", "a"]
    a, b = cards[2], cards[1]
    assert (a["accepts"], a["rejects"], a["cluster"]) == (1, 1, "cluster 1")
    assert b["missed_by_decades"] == pytest.approx(0.30103, abs=1e-5)
    assert anomalies.detection_cards(known, []) == []
