"""Kinds, agreement, gold and rankings over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.gold import gold_items
from db.store import Store
from engine.sky import simulated_again
from jobs.errors import UsageError
from jobs.gold import gold_of_night
from tests.db.queries import rows
from tests.jobs import stubs
from tests.jobs.serving import Served, served

pytestmark = pytest.mark.slow

NIGHT = "sim:labels,frames=4,terrain=0,size=64"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("labelling") / "home") as server:
        assert server.scanned(NIGHT)["stored"] == 4
        yield server


def detections(server: Served) -> list[str]:
    rows = server.get("candidates", verdict="all", limit=100)["rows"]
    return sorted(row["detection_id"] for row in rows)


def test_a_kind_decides_the_label_and_two_people_disagree(server: Served) -> None:
    one = detections(server)[0]
    ann: dict[str, Any] = {"detection_id": one, "labeller": "ann", "kind": "cosmic_ray"}
    server.post("labels", **ann, grade=1, label_id="a", seconds=0.5, blind=True)
    server.post("labels", detection_id=one, labeller="bob", label="accept", label_id="b")
    rows = {row["label_id"]: row for row in server.get("labels")["rows"]}
    assert (rows["a"]["label"], rows["a"]["grade"], rows["a"]["blind"]) == ("reject", 1, True)
    found = server.get("labels/agreement")
    assert [(pair["items"], pair["differ"]) for pair in found["pairs"]] == [(1, [one])]
    assert {row["labeller"] for row in found["labellers"]} == {"ann", "bob"}
    disputed = server.get("labels/consensus", state="disputed")
    assert [row["detection_id"] for row in disputed["rows"]] == [one]
    assert disputed["counts"]["disputed"] == 1
    server.post("labels", detection_id=detections(server)[1], labeller="bob", kind="boring")
    first = server.get("labels/consensus", limit=1)
    assert [row["detection_id"] for row in first["rows"]] == [one]
    rest = server.get("labels/consensus", limit=100, cursor=first["next"])
    assert one not in [row["detection_id"] for row in rest["rows"]]
    assert (len(rest["rows"]) >= 1, rest["next"]) == (True, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "ufo"}, "expected a kind"),
        ({"kind": "boring", "label": "accept"}, "boring means reject"),
        ({"kind": "boring", "grade": 2.5}, "grade must be a whole number"),
        ({"kind": "boring", "grade": 9}, "grade from 0 to 5"),
        ({}, "lacks label or kind"),
    ],
)
def test_a_label_that_cannot_be_is_refused(
    server: Served, body: dict[str, Any], message: str
) -> None:
    named = {"detection_id": detections(server)[0], "labeller": "eve"}
    answer = server.call("POST", "labels", json=named | body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_an_expert_makes_gold_and_other_sources_have_no_truth(server: Served) -> None:
    one = detections(server)[-1]
    for added in (1, 0):
        answer = server.post("gold", detection_id=one, kind="boring", set_by="eve")
        assert answer == {"added": added}
    (row,) = server.get("gold")["rows"]
    assert (row["detection_id"], row["kind"], row["origin"]) == (one, "boring", "expert")
    ended = server.ended(server.post("gold", source="folder:/x"))
    assert ended["state"] == "failed"
    assert "only of a simulated night" in ended["error"]


def test_the_ranking_is_fitted_when_asked(server: Served) -> None:
    answer = server.call("POST", "labels/rankings", json={})
    if len(detections(server)) < 3:
        assert "at least 3 detections" in answer.json()["error"]
        return
    assert answer.json()["candidates"] >= 3
    assert server.get("labels/rankings")["rows"][0]["cause"] in ("asked", "batch")


def test_the_truth_of_a_simulated_night_becomes_gold(tmp_path: Path) -> None:
    nights = {f"gold-{n:04d}": simulated_again(f"gold-{n:04d}").truth for n in range(12)}
    name = next(k for k, t in nights.items() if any(thing.is_anomaly for thing in t.objects))
    thing = next(thing for thing in nights[name].objects if thing.is_anomaly)
    places = {"odd": (thing.x, thing.y), "nowhere": (-500.0, -500.0)}
    found = [rows.detection(one, x=x, y=y, size_px=20) for one, (x, y) in places.items()]
    with Store.open(tmp_path) as store:
        store.write(
            {
                "frames": [rows.frame("f", height=256, width=256)],
                "observations": [rows.observation("f", source="sim:gold", object_id=name)],
                "runs": [rows.run("r", "f")],
                "detections": found,
            }
        )
        for added in (1, 0):
            result = gold_of_night(store, stubs.InlineWorkers(), "sim:gold", rows.T0)
            assert result == {"items": 1, "finds": 1, "added": added}
        (row,) = gold_items(store).rows
        assert (row["detection_id"], row["kind"]) == ("odd", "astrophysical")
        assert (row["origin"], row["note"]) == ("injection", "truth of sim:gold")
        with pytest.raises(UsageError, match="no detections yet"):
            gold_of_night(store, stubs.InlineWorkers(), "sim:other", rows.T0)


def test_promotion_and_roll_back_are_requests_that_say_why_they_failed(server: Served) -> None:
    ended = server.ended(server.post("learn/promote", model_digest="nobody"))
    assert (ended["kind"], ended["state"]) == ("promote", "failed")
    assert "no ranking 'nobody' was learned here" in ended["error"]
    ended = server.ended(server.post("learn/rollback"))
    assert (ended["kind"], ended["state"]) == ("roll_back", "failed")
    assert "no promotion to take back" in ended["error"]
    assert server.call("POST", "learn/promote", json={}).status_code == 400
