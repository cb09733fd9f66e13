"""Models come from a hub (here: one on loopback, made by hand after the hub's API) or a wheel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from jobs.cli.models import models_fetch, models_list
from jobs.errors import ServiceError, UsageError
from jobs.hub import fetch_model, list_models
from tests.loopback import Asked, LoopbackServer, Reply, free_port

NAME = "observatory/tiny-vit"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
WEIGHTS = b"weights" * 100
FILES = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle that must not be fetched",
}


def serve(server: LoopbackServer, files: dict[str, bytes], commit: str = COMMIT) -> None:
    """Play the part of the hub's API that a snapshot needs."""
    listed = {"id": NAME, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
    tree = [
        {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for name, body in files.items()
    ]
    server.on(f"/api/models/{NAME}", Reply(json.dumps(listed).encode()))
    server.on(f"/api/models/{NAME}/tree/{commit}", Reply(json.dumps(tree).encode()))
    for name, body in files.items():
        server.on(f"/{NAME}/resolve/{commit}/{name}", file_reply(body, commit))


def file_reply(body: bytes, commit: str = COMMIT) -> Reply:
    etag = f'"{hashlib.sha1(body).hexdigest()}"'
    return Reply(body, headers={"ETag": etag, "X-Repo-Commit": commit})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        serve(server, FILES)
        yield server


def run(command: str, *arguments: str) -> Result:
    app = typer.Typer()
    app.command("fetch")(models_fetch)
    app.command("list")(models_list)
    return CliRunner().invoke(app, [command, *arguments])


def test_a_hub_model_is_fetched_without_its_pickles(hub: LoopbackServer, tmp_path: Path) -> None:
    model = fetch_model(NAME, tmp_path, NOW)
    folder = tmp_path / "models" / NAME / COMMIT
    assert (model.origin, model.revision, model.path) == ("hub", COMMIT, str(folder))
    assert model.digests == {"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest()}
    assert model.bytes == len(WEIGHTS) + 2
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "pytorch_model.bin").exists()
    assert model.fetched_at == "2026-11-21T02:00:00+00:00"


def test_a_fetched_model_is_listed_after_the_wheel(hub: LoopbackServer, tmp_path: Path) -> None:
    fetched = fetch_model(NAME, tmp_path, NOW)
    assert [model.name for model in list_models(tmp_path)] == ["efficientnet-lite0", NAME]
    assert list_models(tmp_path)[1] == fetched


def test_an_interrupted_download_is_an_error_and_not_listed(
    hub: LoopbackServer, tmp_path: Path
) -> None:
    def broken(asked: Asked) -> Reply:
        whole = file_reply(WEIGHTS)
        return whole if asked.method == "HEAD" else Reply(status=503)

    hub.on(f"/{NAME}/resolve/{COMMIT}/model.safetensors", broken)
    with pytest.raises(ServiceError, match="HTTP 503"):
        fetch_model(NAME, tmp_path, NOW)
    assert [model.origin for model in list_models(tmp_path)] == ["wheel"]


def test_a_newer_revision_replaces_the_old_one_only_when_it_is_complete(
    hub: LoopbackServer, tmp_path: Path
) -> None:
    old = fetch_model(NAME, tmp_path, NOW)
    newer = COMMIT[::-1]
    serve(hub, {"model.safetensors": b"new weights"}, newer)
    hub.on(f"/api/models/{NAME}/tree/{newer}", Reply(status=403))
    with pytest.raises(ServiceError, match=f"{NAME} could not be fetched"):
        fetch_model(NAME, tmp_path, NOW)
    assert list_models(tmp_path)[1] == old
    serve(hub, {"model.safetensors": b"new weights"}, newer)
    assert fetch_model(NAME, tmp_path, NOW).revision == newer
    (new,) = list_models(tmp_path)[1:]
    assert new.digests == {"model.safetensors": hashlib.sha256(b"new weights").hexdigest()}


def test_a_hub_that_names_no_commit(hub: LoopbackServer, tmp_path: Path) -> None:
    hub.on(f"/api/models/{NAME}", Reply(json.dumps({"id": NAME, "sha": "../../up"}).encode()))
    with pytest.raises(ServiceError, match="named no commit"):
        fetch_model(NAME, tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_an_error(hub: LoopbackServer, tmp_path: Path) -> None:
    fetch_model(NAME, tmp_path, NOW)
    (tmp_path / "models" / NAME / "skysieve-model.json").write_text("{")
    with pytest.raises(UsageError, match="fetch that model again"):
        list_models(tmp_path)


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "has no model"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated"),
        (500, {}, "answered HTTP 500"),
    ],
)
def test_a_hub_that_does_not_deliver(
    status: int, headers: dict[str, str], says: str, hub: LoopbackServer, tmp_path: Path
) -> None:
    hub.on(f"/api/models/{NAME}", Reply(b"{}", status=status, headers=headers))
    with pytest.raises(ServiceError, match=says):
        fetch_model(NAME, tmp_path, NOW)


def test_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceError, match=r"could not be fetched from http://127\.0\.0\.1"):
        fetch_model(NAME, tmp_path, NOW)


def test_a_model_without_safetensors_is_refused(hub: LoopbackServer, tmp_path: Path) -> None:
    serve(hub, {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(ServiceError, match="no safetensors weights"):
        fetch_model(NAME, tmp_path, NOW)
    assert [model.origin for model in list_models(tmp_path)] == ["wheel"]


@pytest.mark.parametrize("name", ["tiny", "a/b/c", "", "../../etc/passwd"])
def test_a_name_that_is_neither(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a hub id"):
        fetch_model(name, tmp_path, NOW)


@pytest.mark.parametrize("name", ["../evil", "a/..", "-x/y", "a/b c"])
def test_a_name_that_no_hub_takes(name: str, hub: LoopbackServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a hub id"):
        fetch_model(name, tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []
    assert hub.asked == []


def test_the_wheel_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYSIEVE_HOME", str(tmp_path))
    ran = run("fetch", "efficientnet-lite0", "--json")
    assert ran.exit_code == 0
    document = json.loads(ran.stdout)
    weights = Path(document["path"])
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert document["digests"] == {weights.name: digest}
    assert document["bytes"] == weights.stat().st_size


def test_the_list_command(
    hub: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYSIEVE_HOME", str(tmp_path))
    assert run("fetch", NAME).exit_code == 0
    ran = run("list")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["efficientnet-lite0", NAME]
