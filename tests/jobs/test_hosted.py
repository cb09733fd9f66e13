"""The hosted embedder against an endpoint on loopback: what goes out, what may come back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jobs.errors import ServiceError, SettingsError
from jobs.hosted import hosted_embedder
from jobs.settings import Settings
from tests.loopback import Asked, LoopbackServer, Reply
from tests.loopback.server import free_port

DIMENSION = 8
PATH = "/v1/models/multimodalembedding:predict"
IMAGES = np.linspace(0, 1, 2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)


@pytest.fixture
def endpoint() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def settings(url: str | None, home: Path) -> Settings:
    return Settings(
        home=home, embedding_url=url, embedding_token="s3cret", embedding_dimension=DIMENSION
    )


def embedding(asked: Asked) -> Reply:
    picture = json.loads(asked.body)["instances"][0]["image"]["bytesBase64Encoded"]
    numbers = [float(len(base64.b64decode(picture))), *range(1, DIMENSION)]
    return Reply(json.dumps({"predictions": [{"imageEmbedding": numbers}]}).encode())


def test_each_image_is_posted_as_a_png_with_the_token(
    endpoint: LoopbackServer, tmp_path: Path
) -> None:
    endpoint.on(PATH, embedding)
    embedder = hosted_embedder(settings(endpoint.url + PATH, tmp_path), wait_s=0)
    vectors = embedder.embed(IMAGES)
    assert vectors.shape == (2, DIMENSION)
    np.testing.assert_array_equal(vectors[:, 1:], [list(range(1, DIMENSION))] * 2)
    assert [asked.method for asked in endpoint.asked] == ["POST", "POST"]
    assert endpoint.asked[0].headers["authorization"] == "Bearer s3cret"
    document = json.loads(endpoint.asked[0].body)
    assert document["parameters"] == {"dimension": DIMENSION}
    picture = base64.b64decode(document["instances"][0]["image"]["bytesBase64Encoded"])
    assert picture.startswith(b"\x89PNG")


def test_passing_trouble_is_tried_again(endpoint: LoopbackServer, tmp_path: Path) -> None:
    endpoint.on(PATH, Reply(status=503), Reply(status=429), embedding)
    embedder = hosted_embedder(settings(endpoint.url + PATH, tmp_path), wait_s=0)
    assert embedder.embed(IMAGES[:1]).shape == (1, DIMENSION)
    assert len(endpoint.asked) == 3


def test_a_refusal_is_told_at_once_and_without_the_token(
    endpoint: LoopbackServer, tmp_path: Path
) -> None:
    endpoint.on(PATH, Reply(b"bad s3cret", status=403))
    embedder = hosted_embedder(settings(endpoint.url + PATH, tmp_path), wait_s=0)
    with pytest.raises(ServiceError, match="refused with HTTP 403") as raised:
        embedder.embed(IMAGES[:1])
    assert "s3cret" not in str(raised.value)
    assert len(endpoint.asked) == 1


def test_an_endpoint_that_does_not_answer_and_one_that_is_not_set(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}{PATH}"
    with pytest.raises(ServiceError, match="failed: no answer"):
        hosted_embedder(settings(nobody, tmp_path), wait_s=0).embed(IMAGES[:1])
    with pytest.raises(SettingsError, match="no hosted embedder is set"):
        hosted_embedder(settings(None, tmp_path))
