"""Notifications reach their targets, and a target that fails is reported, not raised."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from jobs.notify import notify
from tests.loopback import LoopbackServer, Reply, free_port


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running.on("/hook", Reply())


def address(server: LoopbackServer) -> str:
    return server.url.replace("http://", "json://") + "/hook"


def test_a_message_arrives(server: LoopbackServer) -> None:
    (outcome,) = notify([address(server)], "Night done", "3 candidates")
    assert (outcome.sent, outcome.reason) == (True, "")
    (asked,) = server.asked
    message = json.loads(asked.body)
    assert (asked.method, message["title"], message["message"]) == (
        "POST",
        "Night done",
        "3 candidates",
    )


def test_a_failure_does_not_stop_the_others(server: LoopbackServer) -> None:
    server.on("/broken", Reply(status=500))
    broken = address(server).replace("/hook", "/broken")
    nobody = f"json://127.0.0.1:{free_port()}/"
    outcomes = notify([broken, nobody, "carrier-pigeon://x", address(server)], "subject", "body")
    assert [outcome.sent for outcome in outcomes] == [False, False, False, True]
    assert "500" in outcomes[0].reason
    assert "onnection error" in outcomes[1].reason
    assert "not an address that apprise understands" in outcomes[2].reason


def test_secrets_are_masked(server: LoopbackServer) -> None:
    with_secret = address(server).replace("json://", "json://user:s3cret@")
    outcomes = notify([with_secret, "unheard-of://token-s3cret", "s3cret"], "subject", "body")
    assert all("s3cret" not in repr(outcome) for outcome in outcomes)
    assert "127.0.0.1" in outcomes[0].target


def test_nothing_to_say_is_not_sent(server: LoopbackServer) -> None:
    (outcome,) = notify([address(server)], "subject", "  ")
    assert (outcome.sent, outcome.reason) == (False, "there is no text to send")
    assert server.asked == []


def test_no_targets() -> None:
    assert notify([], "subject", "body") == ()
