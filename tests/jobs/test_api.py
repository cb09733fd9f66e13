"""The HTTP API over a real server: every route, what it refuses, and who may call."""

from __future__ import annotations

import csv
import io
import stat
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from jobs.owner import current
from jobs.owner_file import NAME
from tests.jobs import stubs
from tests.jobs.serving import Served, served

pytestmark = pytest.mark.slow

NIGHT = "sim:api,frames=5,terrain=1,size=64"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api") / "home", max_upload_bytes=200_000) as server:
        assert server.scanned(NIGHT)["stored"] == 6
        yield server


def refused(answer: requests.Response, status: int) -> str:
    """The error of a refusal that also says what to do."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"error", "hint"}
    assert document["hint"]
    return str(document["error"])


def all_rows(server: Served, path: str, limit: int) -> list[dict[str, Any]]:
    rows, cursor = [], None
    while True:
        page = server.get(path, limit=limit, **({"cursor": cursor} if cursor else {}))
        assert 1 <= len(page["rows"]) <= limit
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            return rows


def a_detection(server: Served, *, on_the_sky: bool = True) -> dict[str, Any]:
    for row in server.get("candidates", limit=100)["rows"]:
        if (row["ra_deg"] is not None) == on_the_sky:
            return dict(row)
    raise LookupError("no such detection")


# Reading.


def test_health_counts_what_is_there(server: Served) -> None:
    health = server.get("health")
    assert (health["status"], health["images"] >= 6, health["pid"]) == (
        "ok", True, server.card.pid,
    )  # fmt: skip


def test_search_is_steered_by_examples(server: Served) -> None:
    mine = a_detection(server)["detection_id"]
    near = [row["detection_id"] for row in server.get(f"similar/{mine}")["rows"]]
    assert len(near) >= 2
    assert mine not in near
    steered = server.get(f"similar/{mine}", more=near[-1], less=f"{near[0]},nobody")["rows"]
    left = [row["detection_id"] for row in steered]
    assert left
    assert not {near[0], near[-1], mine} & set(left)


def test_a_detection_comes_with_its_evidence(server: Served) -> None:
    mine = a_detection(server)["detection_id"]
    found = server.get(f"detections/{mine}")
    assert found["detection_id"] == mine
    assert {"scores", "evidence", "versions", "contributions"} <= set(found)
    assert mine not in {row["detection_id"] for row in server.get(f"duplicates/{mine}")["rows"]}
    error = refused(server.call("GET", f"duplicates/{mine}?bits=many"), 400)
    assert "from 0 to 32" in error
    assert "no detection" in refused(server.call("GET", "similar/nobody"), 404)
    assert set(server.get("nights")) >= {"rows", "drift"}


@pytest.mark.parametrize(
    ("path", "key", "table"),
    [
        ("images", "frame_digest", "frames"),
        ("candidates?verdict=all", "detection_id", "detections"),
        ("runs", "run_id", "runs"),
    ],
)
@pytest.mark.parametrize("limit", [1, 4, 500])
def test_paging_visits_every_row_once(
    server: Served, path: str, key: str, table: str, limit: int
) -> None:
    visited = [row[key] for row in all_rows(server, path, limit)]
    stored = server.owner.store.rows(f"SELECT {key} FROM {table}")
    assert len(visited) == len(set(visited))
    assert set(visited) == {row[key] for row in stored}


def test_an_image_comes_with_its_runs_and_detections(server: Served) -> None:
    row = server.get("images", limit=1)["rows"][0]

    image = server.get(f"images/{row['frame_digest']}")

    assert {run["pipeline"] for run in image["runs"]} == {"cosmicrays", "anomaly", "codec"}
    assert [found["kind"] for found in image["detections"]] == ["image"]
    preview = server.call("GET", f"files/{image['preview_file']}")
    assert (preview.headers["content-type"], preview.content[:4]) == ("image/png", b"\x89PNG")
    assert preview.headers["x-content-type-options"] == "nosniff"


def test_lists_can_be_narrowed(server: Served) -> None:
    assert server.get("images", source="sim:nowhere") == {"rows": [], "next": None}
    assert len(server.get("images", q="rover")["rows"]) == 1
    runs = server.get("runs", pipeline="cosmicrays", status="not_applicable")["rows"]
    assert [run["reason"] for run in runs] == ["8-bit samples show no cosmic rays"]


def test_models_name_what_results_were_made_with(server: Served) -> None:
    models = server.get("models")["rows"]
    assert {model["pipeline"] for model in models} == {"cosmicrays", "anomaly", "codec"}


def test_a_reading_query_is_answered(server: Served) -> None:
    answer = server.post("query", sql="SELECT count(*) AS n, 1.5 AS x, NULL AS nothing FROM runs")
    assert answer["columns"] == ["n", "x", "nothing"]
    assert answer["rows"][0]["n"] >= 18
    assert answer["truncated"] is False
    cut = server.post("query", sql="SELECT * FROM range(10001)")
    assert (len(cut["rows"]), cut["truncated"]) == (10_000, True)


def test_everything_is_exported_as_parquet(server: Served) -> None:
    answer = server.call("GET", "export")
    assert answer.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"frames.parquet", "runs.parquet", "labels.csv", "README.txt"} <= set(names)


# Asking.


def test_a_scan_is_asked_followed_and_asked_once(server: Served) -> None:
    request_id = str(uuid.uuid4())
    body = {"source": "sim:twice,frames=1,terrain=0,size=64", "request_id": request_id}

    first = server.post("scans", **body)
    again = server.post("scans", **body)

    assert first["request_id"] == again["request_id"] == request_id
    row = server.ended(first)
    assert (row["state"], row["result"]["stored"], row["done"]) == ("done", 1, 1)
    assert len(server.owner.store.rows("FROM cycles WHERE cycle_id = ?", [request_id])) == 1
    other = {"source": "sim:other", "request_id": request_id}
    assert "already asked" in refused(server.call("POST", "scans", json=other), 400)


def test_a_scan_respects_its_limit(server: Served) -> None:
    counts = server.scanned("sim:limited,frames=4,terrain=0,size=64", limit=2)
    assert (counts["asked"], counts["stored"]) == (2, 2)


def test_an_upload_is_taken_in(server: Served, tmp_path: Path) -> None:
    content = stubs.write_picture(tmp_path / "x.png", seed=99).read_bytes()

    asked = server.call("POST", "images?name=upload.png", data=content)
    again = server.call("POST", "images?name=upload.png", data=content)

    assert server.ended(asked.json())["result"]["stored"] == 1
    assert server.ended(again.json())["result"]["known"] == 1
    assert len(server.get("images", q="upload.png")["rows"]) == 1


def test_a_stored_image_can_be_analysed_again(server: Served) -> None:
    digest = server.get("images", limit=1)["rows"][0]["frame_digest"]
    row = server.ended(server.post(f"analyze/{digest}"))
    assert row["state"] == "done", row["error"]


def test_catalogues_that_do_not_answer_determine_nothing(server: Served) -> None:
    detection = a_detection(server)

    row = server.ended(server.post(f"crossref/{detection['detection_id']}"))

    asked = ("simbad", "ned", "sdss_dr12", "sdss_dr16", "gaia_dr3", "skybot")
    assert row["result"] == dict.fromkeys(asked, "not_determined")
    summary = server.get("crossref/summary")
    assert (summary["not_determined"], summary["match"], summary["no_match"]) == (1, 0, 0)
    assert len(summary["services"]) == 6
    (listed,) = server.get("crossref", state="not_determined")["rows"]
    assert listed["detection_id"] == detection["detection_id"]
    again = server.ended(server.post("crossref", open=True))
    assert again["state"] == "done"
    regions = server.call("GET", "crossref/regions?state=not_determined").text
    assert regions.count("circle(") == 1


def test_a_backup_is_written_and_never_over_another(server: Served, tmp_path: Path) -> None:
    target = tmp_path / "night.backup"

    row = server.ended(server.post("backup", target=str(target)))
    again = server.ended(server.post("backup", target=str(target)))

    assert row["result"] == {"file": str(target), "bytes": target.stat().st_size}
    assert (again["state"], "exists already" in again["error"]) == ("failed", True)


def test_a_scan_can_be_taken_back(server: Served) -> None:
    asked = server.post("scans", source="sim:cancelled,frames=400,terrain=0,size=64")

    answer = server.call("DELETE", f"scans/{asked['request_id']}")

    assert answer.json()["state"] == "cancelled"
    row = server.ended(asked)
    assert row["state"] == "cancelled"
    stored = server.get("images", q="cancelled-", limit=500)["rows"]
    assert len(stored) < 400


def test_labels_are_said_taken_back_and_carried(server: Served) -> None:
    detection_id = a_detection(server)["detection_id"]
    said = {"detection_id": detection_id, "label": "accept", "labeller": "ada", "seconds": 1.5}

    label_id = server.post("labels", **said, label_id="label-1")["label_id"]
    server.post("labels", **said, label_id="label-1")
    server.post("labels", undoes=label_id, labeller="ada", label_id="label-2")

    log = [row for row in all_rows(server, "labels", 1) if row["detection_id"] == detection_id]
    assert [(row["label_id"], row["label"]) for row in log] == [
        ("label-1", "accept"), ("label-2", "undo"),
    ]  # fmt: skip
    exported = server.call("GET", "labels?format=csv")
    assert exported.headers["content-type"].startswith("text/csv")
    assert len(list(csv.DictReader(io.StringIO(exported.text)))) == 2
    imported = server.call(
        "POST", "labels", data=exported.content, headers={"Content-Type": "text/csv"}
    )
    assert imported.json() == {"added": 0, "known": 2}


def test_schedules_are_made_changed_run_and_removed(server: Served) -> None:
    source = "sim:scheduled,frames=1,terrain=0,size=64"

    def patch(**body: Any) -> dict[str, Any]:
        answer = server.call("PATCH", "schedules", json=body)
        assert answer.ok, answer.text
        return dict(answer.json())

    schedule_id = patch(source=source, every_s=3600)["schedule_id"]
    (row,) = server.get("schedules")["rows"]
    assert (row["source"], row["every_s"], row["paused"]) == (source, 3600, False)
    assert row["next_turn"] is not None

    patch(schedule_id=schedule_id, paused=True, limit=5)
    (row,) = server.get("schedules")["rows"]
    assert (row["paused"], row["frame_limit"], row["next_turn"]) == (True, 5, None)

    patch(schedule_id=schedule_id, run_now=True, request_id="run-now")
    assert server.ended({"request_id": "run-now"})["result"]["stored"] == 1

    patch(schedule_id=schedule_id, remove=True)
    assert server.get("schedules")["rows"] == []


# Refusing.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "images/nothing"),
        ("GET", f"files/{'0' * 64}"),
        ("GET", "scans/nothing"),
        ("DELETE", "scans/nothing"),
        ("POST", "analyze/nothing"),
        ("POST", "crossref/nothing"),
        ("GET", "no/such/route"),
        ("PUT", "health"),
    ],
)
def test_what_is_not_there_is_404(server: Served, method: str, path: str) -> None:
    assert "no" in refused(server.call(method, path), 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("GET", "images?limit=0", None, "limit must be a number from 1 to 500"),
        ("GET", "images?limit=501", None, "limit must be"),
        ("GET", f"images?limit={'9' * 5000}", None, "limit must be"),
        ("GET", "images?limit=ten", None, "limit must be"),
        ("GET", "images?cursor=rubbish", None, "cursor"),
        ("GET", "runs?cursor=WzFd", None, "cursor"),
        ("GET", "files/..%2f..%2fetc", None, "no route"),
        ("GET", "files/nothing", None, "sha256"),
        ("POST", "scans", {}, "lacks source"),
        ("POST", "scans", {"source": 5}, "lacks source"),
        ("POST", "scans", {"source": "ftp:host"}, "no source"),
        ("POST", "scans", {"source": "folder:/no/such/place"}, "no folder at"),
        ("POST", "scans", {"source": "sim:a", "limit": 0}, "limit must be a number from 1"),
        ("POST", "scans", {"source": "sim:a", "limit": 1.5}, "whole number"),
        ("POST", "scans", {"source": "sim:a", "aggressive": "yes"}, "true or false"),
        ("POST", "backup", {"target": "relative"}, "absolute"),
        ("POST", "labels", {"label": "accept"}, "lacks detection_id, labeller"),
        ("POST", "labels", {"detection_id": "x", "label": "accept", "labeller": "a"}, "unknown"),
        ("POST", "labels", {"undoes": "x", "labeller": "a"}, "unknown"),
        ("PATCH", "schedules", {"source": "sim:a"}, "every_s is missing"),
        ("PATCH", "schedules", {"source": "sim:a", "every_s": 1e12}, "every_s must be"),
        ("PATCH", "schedules", {"source": "sim:a", "every_s": 1e9}, "comes round every"),
        ("PATCH", "schedules", {"schedule_id": "nothing", "paused": True}, "no schedule"),
        ("POST", "query", {"sql": "SELEC 1"}, "refused"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(
    server: Served, method: str, path: str, body: Any, complaint: str
) -> None:
    answer = server.call(method, path, json=body)
    assert complaint in refused(answer, 404 if complaint == "no route" else 400)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"[" * 200_000, b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(server: Served, body: bytes) -> None:
    assert "JSON" in refused(server.call("POST", "scans", data=body), 400)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none_are_refused(server: Served, number: str) -> None:
    body = f'{{"source": "sim:a", "every_s": {number}}}'
    assert "every_s must be" in refused(server.call("PATCH", "schedules", data=body), 400)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM frames",
        "UPDATE requests SET state = 'done'",
        "DROP TABLE runs",
        "INSERT INTO run_events (kind, message, happened_at) VALUES ('x', 'y', now())",
        "CREATE TABLE mine AS SELECT 1",
        "SELECT 1; DROP TABLE runs",
        "COPY runs TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT nextval('event_number')",
        "PRAGMA database_list; SELECT 1",
        "SET memory_limit = '99GB'",
    ],
)
def test_sql_that_does_not_only_read_the_store_is_refused(server: Served, sql: str) -> None:
    before = stubs.row_counts(server.owner.store, ("requests", "cycles", "run_events"))
    refused(server.call("POST", "query", json={"sql": sql}), 400)
    assert stubs.row_counts(server.owner.store, ("requests", "cycles", "run_events")) == before


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("", b"x", "name the file"),
        ("notes.txt", b"x", "not named like an image"),
        ("empty.png", b"", "is empty"),
    ],
)
def test_uploads_that_are_no_images_are_refused(
    server: Served, name: str, content: bytes, complaint: str
) -> None:
    answer = server.call("POST", f"images?name={name}", data=content)
    assert complaint in refused(answer, 400)


def test_an_upload_that_lies_is_a_failed_item(server: Served) -> None:
    row = server.ended(server.call("POST", "images?name=liar.fits", data=b"<html>").json())
    assert (row["state"], row["result"]["failed"]) == ("done", 1)


def test_a_body_beyond_the_bound_is_413(server: Served) -> None:
    answer = server.call("POST", "images?name=large.png", data=b"x" * 200_001)
    assert "more than 200,000 bytes" in refused(answer, 413)


def test_an_unexpected_error_is_told_as_one(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.owner, "health", lambda: 1 / 0)
    assert "ZeroDivisionError" in refused(server.call("GET", "health"), 500)


# Who may call.


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", "", "0.0.0.0"])
def test_a_foreign_host_is_refused(server: Served, host: str) -> None:
    answer = server.call("GET", "health", headers={"Host": host})
    assert answer.status_code in (400, 403), answer.text
    if answer.status_code == 403:
        assert "foreign Host" in refused(answer, 403)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1234", "[::1]:80"])
def test_this_machine_by_any_name_is_welcome(server: Served, host: str) -> None:
    assert server.call("GET", "health", headers={"Host": host}).ok


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "scans"), ("PATCH", "schedules"), ("DELETE", "scans/x")]
)
def test_a_foreign_origin_changes_nothing(
    server: Served, method: str, path: str, origin: str
) -> None:
    answer = server.call(method, path, headers={"Origin": origin}, json={"source": "sim:a"})
    assert "foreign Origin" in refused(answer, 403)


def test_a_foreign_page_changes_nothing_without_an_origin_either(server: Served) -> None:
    answer = server.call("POST", "scans", headers={"Sec-Fetch-Site": "cross-site"})
    assert "cross-site page" in refused(answer, 403)


def test_the_servers_own_page_may(server: Served) -> None:
    origin = {"Origin": server.card.address}
    assert server.call("POST", "query", headers=origin, json={"sql": "SELECT 1"}).ok


def test_beyond_loopback_every_call_needs_the_token(tmp_path: Path) -> None:
    with served(tmp_path / "home", host="0.0.0.0", token="open sesame") as server:
        for wrong in ({}, {"Authorization": "Bearer open"}, {"Authorization": "open sesame"}):
            answer = server.call("GET", "health", headers=wrong)
            assert "needs the token" in refused(answer, 401)
        right = {"Authorization": "Bearer open sesame"}
        assert server.call("GET", "health", headers=right).ok


# owner.json


def test_the_owners_file_is_private_and_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "home" / NAME
    with served(tmp_path / "home") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.card.token not in server.call("GET", "health").text
        assert current() is server.owner
    assert not path.exists()
    assert current() is None
    with pytest.raises(requests.ConnectionError):  # noqa: PT011  the words differ by system
        server.call("GET", "health")
