"""Descriptions: asked as the protocol says, kept apart from labels, off unless switched on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.queries.descriptions import descriptions
from db.store import Store
from jobs.descriptions import DescriptionFailed, Endpoint, describe, endpoint_of
from jobs.errors import UsageError
from jobs.settings import Settings, load_settings
from tests.loopback import LoopbackServer, Reply, free_port
from tests.store_factory import NOW, fill

CHAT = "/v1/chat/completions"


def completion(text: object) -> Reply:
    document = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return Reply(body=json.dumps(document).encode())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        fill(store, frames=2, per_frame=1)
        yield store


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def endpoint(server: LoopbackServer, **changed: Any) -> Endpoint:
    chosen = {"provider": "openai", "address": f"{server.url}/v1", "model": "m", "key": "s3cret",
              "timeout_s": 5.0}  # fmt: skip
    return Endpoint(**(chosen | changed))


def detection(store: Store) -> dict[str, Any]:
    return store.rows("SELECT * FROM detections ORDER BY detection_id LIMIT 1")[0]


def test_picture_and_facts_are_sent_and_the_text_is_kept(
    store: Store, server: LoopbackServer
) -> None:
    server.on(CHAT, completion(" A smooth, round source. "))
    row = detection(store)
    labels = store.rows("SELECT count(*) AS n FROM labels")

    result = describe(store, endpoint(server), row["detection_id"], NOW)

    assert result["text"] == "A smooth, round source."
    (asked,) = server.asked
    sent = json.loads(asked.body)
    text, image = sent["messages"][0]["content"]
    picture = base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert (asked.method, asked.path, sent["model"]) == ("POST", CHAT, "m")
    assert picture == store.files.get(row["cutout_file"])
    assert row["verdict"] in text["text"]
    assert "s3cret" not in text["text"]
    (kept,) = descriptions(store, row["detection_id"])
    assert (kept["text"], kept["provider"], kept["model"]) == (result["text"], "openai", "m")
    assert store.rows("SELECT count(*) AS n FROM labels") == labels


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=500, body=b"out of memory"), "status 500 instead of 200: out of memory"),
        (Reply(status=401), "status 401"),
        (Reply(body=b"<html>"), "something else than a chat completion"),
        (Reply(body=b'{"choices": []}'), "something else than a chat completion"),
        (completion(""), "without text"),
        (completion(["a"]), "without text"),
        (Reply(body=b" " * (2**20 + 10)), "more than 1048576 bytes"),
    ],
)
def test_what_is_no_description_is_a_failure(
    store: Store, server: LoopbackServer, reply: Reply, message: str
) -> None:
    server.on(CHAT, reply)
    row = detection(store)
    with pytest.raises(DescriptionFailed, match=message):
        describe(store, endpoint(server), row["detection_id"], NOW)
    assert descriptions(store, row["detection_id"]) == []


def test_an_endpoint_that_is_not_there_is_said_so(store: Store, server: LoopbackServer) -> None:
    nobody = endpoint(server, address=f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(DescriptionFailed, match="cannot be reached"):
        describe(store, nobody, detection(store)["detection_id"], NOW)


def test_an_unknown_detection_is_refused(store: Store, server: LoopbackServer) -> None:
    with pytest.raises(UsageError, match="no detection 'x'"):
        describe(store, endpoint(server), "x", NOW)
    assert server.asked == []


def settings(tmp_path: Path, **chosen: Any) -> Settings:
    return load_settings(home=tmp_path, **chosen)


def test_it_is_off_unless_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="switched off"):
        endpoint_of(settings(tmp_path))
    monkeypatch.setenv("LLM_PROVIDER", "openai")
    with pytest.raises(UsageError, match="needs OPENAI_API_KEY"):
        endpoint_of(settings(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    found = endpoint_of(settings(tmp_path))
    assert (found.address, found.key) == ("https://api.openai.com/v1", "k")
    assert "k" not in repr(settings(tmp_path, openai_api_key="k9z")).split("k9z")[1:]
    monkeypatch.setenv("LLM_PROVIDER", "ollama")
    assert endpoint_of(settings(tmp_path)).address == "http://127.0.0.1:11434/v1"
    chosen = settings(tmp_path, llm_url="http://10.0.0.9/v1/", llm_model="mine")
    assert (endpoint_of(chosen).address, endpoint_of(chosen).model) == (
        "http://10.0.0.9/v1",
        "mine",
    )
