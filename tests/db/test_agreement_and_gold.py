"""Consensus, disputes and gold on an example that was worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.consensus import Rule
from db.errors import StoreError
from db.gold import (
    gold_count,
    gold_items,
    labellers_by_gold,
    pipeline_by_gold,
    remove_gold,
    set_gold,
)
from db.queries.agreement import labellers, ratings, said_by_both, standing_counts, standing_of
from db.queries.paging import Page
from db.store import Store
from jobs.agreement import agreement_of
from tests.db.queries import rows

# Who said what: A accept, R reject, U unsure.
SAID = {
    "d1": {"ann": "A", "bob": "A", "eve": "A"},
    "d2": {"ann": "A", "bob": "R", "eve": "A"},
    "d3": {"ann": "R", "bob": "R", "eve": "R"},
    "d4": {"ann": "A", "bob": "R"},
    "d5": {"ann": "U", "bob": "U"},
    "d6": {"ann": "R"},
}
WORDS = {"A": "accept", "R": "reject", "U": "unsure"}


@pytest.fixture
def judged(store: Store) -> Store:
    verdicts = ("candidate", "candidate", "normal", "normal", "normal", "candidate")
    detections = [
        rows.detection(name, verdict=verdict) for name, verdict in zip(SAID, verdicts, strict=True)
    ]
    said = [
        rows.label(f"{name}-{who}", name, WORDS[word], who)
        for name, each in SAID.items()
        for who, word in each.items()
    ]
    store.write({"runs": [rows.run("r", "f")], "detections": detections, "labels": said,
                 "observations": [rows.observation("f")]})  # fmt: skip
    return store


def states(store: Store, rule: Rule) -> dict[str, str]:
    return {row["detection_id"]: row["state"] for row in standing_of(store, rule).rows}


def test_the_state_of_each_detection(judged: Store) -> None:
    # d2 is two to one: a consensus at two thirds, a dispute at three quarters.
    assert states(judged, Rule()) == {
        "d1": "agreed", "d2": "agreed", "d3": "agreed", "d4": "disputed", "d5": "open",
        "d6": "open",
    }  # fmt: skip
    strict = Rule(share=0.75)
    assert [row["detection_id"] for row in standing_of(judged, strict, "disputed").rows] == [
        "d2",
        "d4",
    ]
    few = Rule(least_votes=1, most_votes=2)
    assert states(judged, few)["d5"] == "exhausted"
    assert states(judged, few)["d6"] == "agreed"
    counts = standing_counts(judged, Rule())
    assert counts == {"open": 2, "agreed": 3, "disputed": 1, "exhausted": 0, "settled": 0,
                      "retired": 3}  # fmt: skip


def test_adjudication_settles(judged: Store) -> None:
    judged.write({"labels": [rows.label("x", "d4", "reject", "eve", queue="adjudication")]})
    assert states(judged, Rule())["d4"] == "settled"
    assert {row["detection_id"] for row in ratings(judged)} == {"d1", "d2", "d3", "d4", "d5"}
    assert "x" not in [row.get("label_id") for row in ratings(judged)]


def test_kappa_of_a_pair_and_of_all(judged: Store) -> None:
    found = agreement_of(judged)
    pair = next(p for p in found["pairs"] if (p["labeller"], p["other"]) == ("ann", "bob"))
    # ann AAARU... on d1 to d5: A A R A U; bob: A R R R U. p_o = 3/5,
    # p_e = (3*1 + 1*3 + 1*1) / 25 = 7/25, kappa = (15 - 7) / (25 - 7).
    assert pair["items"] == 5
    assert pair["differ"] == ["d2", "d4"]
    assert pair["kappa"] == pytest.approx(8 / 18)
    # Three labels each on d1, d2, d3: P = 1, 1/3, 1; shares 5/9 and 4/9.
    assert found["all"]["labels_each"] == 3
    p_o, p_e = 7 / 9, (25 + 16) / 81
    assert found["all"]["kappa"] == pytest.approx((p_o - p_e) / (1 - p_e))


def test_standing_and_gold_come_page_by_page(judged: Store, now: datetime) -> None:
    whole = [row["detection_id"] for row in standing_of(judged, Rule()).rows]
    assert whole == ["d4", "d1", "d2", "d3", "d5", "d6"]
    assert _paged(lambda cursor: standing_of(judged, Rule(), limit=2, cursor=cursor)) == whole
    agreed = _paged(lambda cursor: standing_of(judged, Rule(), "agreed", limit=1, cursor=cursor))
    assert agreed == ["d1", "d2", "d3"]
    for place, name in enumerate(("d5", "d2", "d6")):
        later = now + timedelta(seconds=place // 2)
        set_gold(judged, [(name, "astrophysical")], origin="expert", set_by="eve", now=later)
    assert _paged(lambda cursor: gold_items(judged, limit=1, cursor=cursor)) == ["d6", "d2", "d5"]
    counted = {row["detection_id"]: row["judged"] for row in gold_items(judged).rows}
    assert (counted, gold_count(judged)) == ({"d2": 3, "d5": 2, "d6": 1}, 3)
    with pytest.raises(StoreError, match="is not a cursor"):
        standing_of(judged, Rule(), cursor="x")


def _paged(ask: Callable[[str | None], Page]) -> list[str]:
    found, page = [], ask(None)
    while True:
        found += [row["detection_id"] for row in page.rows]
        if page.next is None:
            return found
        page = ask(page.next)


def test_what_two_say_of_the_same_is_shown_side_by_side(judged: Store) -> None:
    first, second = said_by_both(judged, ("d4", "d2"), "ann", "bob")
    assert (first["detection_id"], first["a_said"], first["b_said"]) == ("d4", "accept", "reject")
    assert (second["detection_id"], second["a_said"], second["b_said"]) == (
        "d2", "accept", "reject",
    )  # fmt: skip
    assert said_by_both(judged, ("d6",), "ann", "bob") == []


def test_nobody_agrees_with_nobody(store: Store) -> None:
    assert agreement_of(store) == {"pairs": [], "all": None}


def test_gold_measures_people_and_the_pipeline(judged: Store, now: datetime) -> None:
    truth = [("d1", "astrophysical"), ("d2", "cosmic_ray"), ("d4", "astrophysical")]
    assert set_gold(judged, truth, origin="expert", set_by="eve", now=now) == 3
    assert set_gold(judged, truth, origin="injection", set_by="sim", now=now) == 0
    people = {row["labeller"]: row for row in labellers_by_gold(judged)}
    # ann accepts all three: both finds of two, two true of three. bob accepts d1 only.
    assert (people["ann"]["completeness"], people["ann"]["purity"]) == (1.0, pytest.approx(2 / 3))
    assert (people["bob"]["completeness"], people["bob"]["purity"]) == (0.5, 1.0)
    assert people["eve"]["judged"] == 2
    # The machine called d1 and d2 candidates: one find of two, one true of two.
    (night,) = pipeline_by_gold(judged)
    assert (night["source"], night["items"]) == ("sim", 3)
    assert (night["completeness"], night["purity"]) == (0.5, 0.5)
    assert {row["origin"] for row in gold_items(judged).rows} == {"expert"}
    remove_gold(judged, "d1")
    with pytest.raises(StoreError, match="'d1' is no gold item"):
        remove_gold(judged, "d1")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"items": [("d9", "boring")]}, "'d9': unknown"),
        ({"items": [("d1", "unsure")]}, r"a kind that can be true \(astrophysical"),
        ({"origin": "rumour"}, r"an origin \(injection, expert\)"),
    ],
)
def test_gold_refuses_what_it_does_not_know(
    judged: Store, now: datetime, changed: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"items": [("d1", "boring")], "origin": "expert", **changed}
    items = given.pop("items")
    with pytest.raises(StoreError, match=message):
        set_gold(judged, items, set_by="eve", now=now, **given)


def test_each_labeller_has_a_pace(judged: Store) -> None:
    found = {row["labeller"]: row for row in labellers(judged)}
    assert [found["ann"][name] for name in ("labels", "accept", "reject", "unsure")] == [6, 3, 2, 1]


@pytest.mark.parametrize("rule", [(0, 0.6, 5), (3, 0.6, 2), (2, 0.5, 5), (2, 1.1, 5)])
def test_a_rule_that_cannot_work_is_refused(rule: tuple[int, float, int]) -> None:
    with pytest.raises(StoreError, match="least_votes <= most_votes"):
        Rule(*rule)
