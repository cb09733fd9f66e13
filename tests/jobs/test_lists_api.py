"""Lists over the API: facets in the query, files, saved views, clusters and their names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from db.errors import StoreError
from db.queries import anomalies
from db.store import Store
from jobs.addresses import wanted_of
from jobs.api import lists
from jobs.api.call import Call
from jobs.errors import UsageError
from jobs.owner import Owner
from jobs.settings import Settings
from tests.dashboard.fakes import FakeOwner
from tests.store_factory import fill, group_in_two

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("night")
    with Store.open(home) as store:
        fill(store, frames=4, per_frame=4)
        group_in_two(store)
    return home


@pytest.fixture
def owner(filled: Path, tmp_path: Path) -> Iterator[Owner]:
    home = shutil.copytree(filled, tmp_path / "home")
    with Store.open(home) as store:
        yield cast(Owner, FakeOwner(store, Settings(home=home)))


def call(query: str = "", body: dict[str, Any] | None = None, **path: str) -> Call:
    given = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    return Call(path, given, "application/json", json.dumps(body).encode() if body else b"")


def test_candidates_are_narrowed_as_the_page_narrows_them(owner: Owner) -> None:
    rows = lists.candidates(owner, call())["rows"]
    assert {row["verdict"] for row in rows} == {"candidate"}
    query = "verdict=all&state=match&sort=brightest&snr=10..&cluster=g-0"
    listed = lists.candidates(owner, call(query))["rows"]
    wanted, sort = wanted_of(call(query).query)
    assert [row["detection_id"] for row in listed] == anomalies.ids_of(owner.store, wanted, sort)
    assert 0 < len(listed) < 12
    with pytest.raises(UsageError, match=r"no measure 'width'"):
        lists.candidates(owner, call("width=1..2"))
    with pytest.raises(StoreError, match="no order 'odd'"):
        lists.candidates(owner, call("sort=odd"))


def test_a_file_holds_every_row_of_the_list(owner: Owner) -> None:
    body, kind, name = lists.file_of(owner, call("format=json&verdict=all"))
    assert (kind, name) == ("application/json", "skysieve.json")
    assert json.loads(body)["count"] == anomalies.count_of(owner.store) == 12
    with pytest.raises(UsageError, match="format must be one of"):
        lists.file_of(owner, call("format=xls"))


def test_a_bundle_is_asked_for_and_fetched_when_it_is_there(owner: Owner) -> None:
    row = lists.ask_for_bundle(owner, call(body={"verdict": "candidate", "request_id": "r1"}))
    assert (row["kind"], row["payload"]) == ("export", {"verdict": "candidate"})
    with pytest.raises(UsageError, match="wait until it is done"):
        lists.bundle(owner, call(id="r1"))
    (owner.settings.home / "exports").mkdir()
    (owner.settings.home / "exports" / "r1.fits").write_bytes(b"SIMPLE")
    assert lists.bundle(owner, call(id="r1"))[0] == b"SIMPLE"
    with pytest.raises(UsageError, match="not the id of a request"):
        lists.bundle(owner, call(id="../owner"))


def test_clusters_are_listed_named_and_asked_for(owner: Owner) -> None:
    assert [row["size"] for row in lists.clusters(owner, call())["rows"]] == [6, 6]
    lists.name_cluster(owner, call(body={"name": "rings", "labeller": "ann"}, id="g-1"))
    names = {row["cluster_key"]: row["name"] for row in lists.clusters(owner, call())["rows"]}
    assert names == {"g-0": None, "g-1": "rings"}
    row = lists.ask_for_clusters(owner, call(body={"verdicts": ["normal"], "close": 0.6}))
    assert row["payload"] == {"verdicts": ["normal"], "close": 0.6}
    with pytest.raises(UsageError, match="verdicts are candidate"):
        lists.ask_for_clusters(owner, call(body={"verdicts": ["odd"]}))
    assert lists.ask_for_map(owner, call(body={"method": "tsne"}))["payload"] == {
        "method": "tsne", "seed": 0,
    }  # fmt: skip


def test_views_are_saved_listed_and_taken_away(owner: Owner) -> None:
    lists.save_view(owner, call(body={"name": "best", "query": "verdict=candidate",
                                      "labeller": "ann"}))  # fmt: skip
    assert [row["query"] for row in lists.views(owner, call())["rows"]] == ["verdict=candidate"]
    assert lists.views(owner, call("page=verify"))["rows"] == []
    lists.save_view(owner, call(body={"name": "best", "labeller": "ann", "remove": True}))
    assert lists.views(owner, call())["rows"] == []
