"""`skysieve cluster` over a real owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from db.clusters import name_cluster
from db.queries import clusters
from db.store import Store
from jobs.cli.cluster import lines_of
from tests.jobs.commands import Home, one_line, succeeded
from tests.store_factory import NOW, fill, group_in_two


def test_a_line_says_size_candidates_and_name() -> None:
    rows = [
        {"size": 12, "candidates": 3, "name": "rings", "number": 1},
        {"size": 4, "candidates": 0, "name": None, "number": 0},
    ]
    assert lines_of(rows) == [
        "size  candidates  name",
        "  12           3  rings",
        "   4           0  cluster 1",
    ]
    assert lines_of([]) == []


@pytest.mark.slow
def test_the_command_groups_and_lists_what_holds(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"SKYSIEVE_WORKERS": "1"})
    with Store.open(home.path) as store:
        fill(store, frames=6, per_frame=4)
        group_in_two(store)
        name_cluster(store, naming_id="n", cluster_key="g-0", name="rings", named_by="ann", now=NOW)
    everything = [f"--verdict={each}" for each in ("candidate", "near_miss", "normal")]
    found = json.loads(
        succeeded(home.run("cluster", *everything, "--close=-0.9", "--fewest=2", "--json"))
    )
    with home.opened() as store:
        (wanted,) = store.rows(
            "SELECT count(*) AS n FROM detections JOIN current_runs USING (run_id) "
            "WHERE verdict IN ('candidate', 'near_miss', 'normal')"
        )
        listed = clusters.clusters(store)
        (made,) = clusters.clusterings(store)
    assert found["detections"] == wanted["n"]
    assert found["grouped"] == sum(row["size"] for row in found["clusters"]) > 0
    assert [(row["cluster_key"], row["size"], row["name"]) for row in found["clusters"]] == [
        (row["cluster_key"], row["size"], row["name"]) for row in listed
    ]
    assert "rings" in [row["name"] for row in found["clusters"]]
    assert (made["close"], made["fewest"]) == (-0.9, 2)
    text = succeeded(home.run("cluster", "--fewest=2", "--close=-0.9"))
    assert text.splitlines()[1].split() == ["size", "candidates", "name"]
    assert "no search vectors of 'x'" in one_line(home.run("cluster", "--kind=x"))
    assert "verdicts are candidate" in one_line(home.run("cluster", "--verdict=odd"))
