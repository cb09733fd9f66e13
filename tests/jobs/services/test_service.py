"""A service is asked politely, given up in time, left alone when it fails, and never half read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import pyvo
import requests

from jobs.errors import ServiceError, SettingsError
from jobs.services import (
    DAY_S,
    HOUR_S,
    Health,
    PassingFailure,
    Quota,
    QuotaSpent,
    Service,
    ServiceResting,
    Services,
    Terms,
)
from tests.loopback import Hands, LoopbackServer, Reply, free_port


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def service(server: LoopbackServer, hands: Hands | None = None, **terms: Any) -> Service:
    options = {"timeout_s": 30.0, "per_second": 1000.0, **terms}
    return Service(Terms("sdss", server.url, **options), (hands or Hands()).clock)


def test_an_answer_comes_whole_with_its_type(server: LoopbackServer) -> None:
    server.on("/q", Reply(b"ra,dec\n", headers={"Content-Type": "text/csv; charset=utf-8"}))
    answer = service(server).get(f"{server.url}/q", {"cmd": "a + b"})
    assert (answer.content, answer.content_type) == (b"ra,dec\n", "text/csv")
    (asked,) = server.asked
    assert (asked.params, asked.headers["user-agent"].split("/")[0]) == (
        {"cmd": "a + b"}, "skysieve",
    )  # fmt: skip


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500), Reply(status=503), Reply(status=429), Reply(status=408),
        Reply(b"ha", withheld=2),
    ],
)  # fmt: skip
def test_what_passes_is_asked_again_after_a_growing_pause(
    server: LoopbackServer, trouble: Reply
) -> None:
    hands = Hands()
    server.on("/q", trouble, trouble, Reply(b"there"))
    assert service(server, hands).get(f"{server.url}/q").content == b"there"
    assert len(server.asked) == 3
    first, second = hands.slept_s
    assert 0.5 <= first <= 1.0 + 0.5
    assert 1.0 <= second <= 2.0 + 0.5


def test_after_the_last_attempt_the_reason_is_told(server: LoopbackServer) -> None:
    server.on("/q", Reply(status=502))
    with pytest.raises(PassingFailure, match="sdss cannot answer now"):
        service(server).get(f"{server.url}/q")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 414])
def test_a_refusal_is_final(server: LoopbackServer, status: int) -> None:
    server.on("/q", Reply(status=status))
    with pytest.raises(ServiceError, match=f"refused GET .*HTTP {status}") as caught:
        service(server).get(f"{server.url}/q")
    assert not isinstance(caught.value, PassingFailure)
    assert len(server.asked) == 1


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(server: LoopbackServer) -> None:
    hands = Hands()
    date = "Sun, 01 Mar 2026 04:00:20 GMT"
    server.on(
        "/q",
        Reply(status=429, headers={"Retry-After": "7"}),
        Reply(status=503, headers={"Retry-After": date}),
        Reply(b"there"),
    )
    assert service(server, hands).get(f"{server.url}/q").content == b"there"
    assert hands.slept_s == [7.0, 13.0]


def test_a_long_retry_after_rests_the_service_instead_of_waiting(server: LoopbackServer) -> None:
    hands = Hands()
    server.on("/q", Reply(status=429, headers={"Retry-After": "600"}), Reply(b"there"))
    asked = service(server, hands)
    with pytest.raises(PassingFailure, match="asks for fewer questions"):
        asked.get(f"{server.url}/q")
    with pytest.raises(ServiceResting, match="left alone for 600 s"):
        asked.get(f"{server.url}/q")
    assert len(server.asked) == 1
    hands.pass_by(600)
    assert asked.get(f"{server.url}/q").content == b"there"


def test_a_service_that_hangs_is_given_up(server: LoopbackServer) -> None:
    server.on("/q", Reply(b"late", delay_s=5))
    with pytest.raises(PassingFailure, match=r"timed out after 0\.05 s"):
        service(server, timeout_s=0.05).get(f"{server.url}/q")


def test_a_trickle_ends_at_the_deadline(server: LoopbackServer) -> None:
    server.on("/q", Reply(b"x" * 200, trickle_s=0.001))
    with pytest.raises(PassingFailure, match="timed out after 30 s"):
        service(server, Hands(step_s=1.0)).get(f"{server.url}/q")


def test_an_answer_beyond_the_limit_is_refused(server: LoopbackServer) -> None:
    server.on("/q", Reply(b"x" * 2000))
    with pytest.raises(ServiceError, match="larger than 1000 bytes"):
        service(server, max_bytes=1000).get(f"{server.url}/q")
    assert len(server.asked) == 1


def test_nobody_there_is_a_failure_that_passes() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PassingFailure, match="cannot be reached"):
        Service(Terms("sdss", gone, attempts=1), Hands().clock).get(gone)


def test_half_a_picture_is_no_answer(server: LoopbackServer) -> None:
    """The bytes agree with Content-Length, and still the picture is cut."""
    server.on("/p", Reply(b"\xff\xd8\xff" + b"\0" * 50))
    asked = service(server)
    with pytest.raises(PassingFailure, match="lack JPEG's end marker"):
        asked.get(f"{server.url}/p", whole="jpeg")
    assert asked.health().failed == 1


def test_the_breaker_opens_rests_longer_each_time_and_closes(server: LoopbackServer) -> None:
    hands = Hands()
    server.on("/q", *[Reply(status=500)] * 7, Reply(b"there"))
    asked = service(server, hands, attempts=1, failures_to_open=5, rest_s=60)
    for _ in range(5):
        with pytest.raises(PassingFailure, match="HTTP 500"):
            asked.get(f"{server.url}/q")
    assert asked.health().breaker == "open"
    for rest_s in (60, 120):
        with pytest.raises(ServiceResting, match="left alone"):
            asked.get(f"{server.url}/q")
        hands.pass_by(rest_s)
        assert asked.health().breaker == "half_open"
        with pytest.raises(PassingFailure, match="HTTP 500"):
            asked.get(f"{server.url}/q")
    assert len(server.asked) == 7, "while it rests nothing is sent, then one question at a time"
    hands.pass_by(240)
    assert asked.get(f"{server.url}/q").content == b"there"
    health = asked.health()
    assert (health.breaker, health.asked, health.succeeded, health.failed) == ("closed", 8, 1, 7)


def test_a_quota_is_kept_to_and_new_in_the_next_window(server: LoopbackServer) -> None:
    hands = Hands()
    server.on("/q", Reply(b"there"))
    quotas = (Quota(2, HOUR_S), Quota(3, DAY_S))
    asked = service(server, hands, quotas=quotas)
    asked.get(f"{server.url}/q")
    asked.get(f"{server.url}/q")
    with pytest.raises(QuotaSpent, match="the 2 questions of one hour to sdss are used up"):
        asked.get(f"{server.url}/q")
    hands.pass_by(HOUR_S)
    asked.get(f"{server.url}/q")
    with pytest.raises(QuotaSpent, match="the 3 questions of one day"):
        asked.get(f"{server.url}/q")
    assert [(spent.used, spent.calls) for spent in asked.health().quotas] == [(1, 2), (3, 3)]
    assert len(server.asked) == 3


def test_the_rate_holds_over_all_questions(server: LoopbackServer) -> None:
    hands = Hands()
    server.on("/q", Reply(b"there"))
    asked = service(server, hands, per_second=5)
    for _ in range(11):
        asked.get(f"{server.url}/q")
    assert hands.passed_s == pytest.approx(2.0)


class Kept:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.row: Mapping[str, Any] = {}

    def read(self, name: str) -> Mapping[str, Any]:
        return self.row

    def write(self, health: Health, windows: Mapping[tuple[int, int], int], now: datetime) -> None:
        resting = timedelta(seconds=health.rest_left_s)
        self.row = {
            **vars(health),
            "windows": windows,
            "resting_until": now + resting if resting else None,
        }


@pytest.mark.parametrize("jump_s", [0, -10 * DAY_S])
def test_a_restart_forgets_neither_rest_nor_quota(server: LoopbackServer, jump_s: float) -> None:
    """Even where the wall clock was set back in between, nobody rests longer than allowed."""
    hands, kept = Hands(), Kept()
    server.on("/q", Reply(status=500))
    terms = Terms("sdss", server.url, attempts=1, failures_to_open=1, quotas=(Quota(9),))
    first = Service(terms, hands.clock, kept)
    with pytest.raises(PassingFailure, match="HTTP 500"):
        first.get(f"{server.url}/q")
    hands.jump(jump_s)

    second = Service(terms, hands.clock, kept)

    assert (second.health().breaker, second.health().failed) == ("open", 1)
    assert second.health().rest_left_s <= terms.longest_rest_s
    if not jump_s:
        assert second.health().quotas[0].used == 1
    hands.pass_by(terms.longest_rest_s)
    assert second.health().breaker == "half_open"


def test_a_client_of_its_own_gets_the_same_treatment(server: LoopbackServer) -> None:
    """pyvo streams what it asked: it is given a body that is here already, after a retry."""
    table = (
        b'<?xml version="1.0"?><VOTABLE version="1.4"><RESOURCE type="results">'
        b'<INFO name="QUERY_STATUS" value="OK"/><TABLE><FIELD name="n" datatype="int"/>'
        b"<DATA><TABLEDATA><TR><TD>7</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    server.on("/tap/sync", Reply(status=500), Reply(table))
    asked = service(server)
    tap = pyvo.dal.TAPService(f"{server.url}/tap", session=asked.session())
    query = tap.create_query("SELECT 7 AS n", mode="sync")
    assert asked.call(query.execute)["n"][0] == 7
    assert len(server.asked) == 2


def test_what_a_library_wraps_comes_out_as_it_was(server: LoopbackServer) -> None:
    server.on("/tap/sync", Reply(status=500))
    asked = service(server)
    tap = pyvo.dal.TAPService(f"{server.url}/tap", session=asked.session())
    query = tap.create_query("SELECT 7 AS n", mode="sync")
    with pytest.raises(PassingFailure, match="HTTP 500"):
        asked.call(query.execute)
    server.on("/tap/sync", Reply(b"<html>maintenance</html>"))
    with pytest.raises(ServiceError, match="something else than expected"):
        asked.call(query.execute)


def test_an_address_that_a_library_fixes_is_pointed_elsewhere(server: LoopbackServer) -> None:
    server.on("/api/v0/x", Reply(b"here"))
    session: requests.Session = service(server).session({"https://mast.example": server.url})
    assert session.get("https://mast.example/api/v0/x").content == b"here"


def test_one_process_makes_each_service_once(server: LoopbackServer) -> None:
    services = Services({"a": Terms("a", server.url)})
    assert services["a"] is services["a"]
    assert services.open(Terms("a", server.url, per_second=9)).terms.per_second == 5
    assert services.names == ("a",)


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [({"per_second": 0}, "per_second .* above 0"), ({"timeout_s": -1}, "timeout_s")],
)
def test_terms_that_cannot_work_are_refused(terms: dict[str, float], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Terms("a", "http://a", **terms)
    with pytest.raises(SettingsError, match="http:// or https://"):
        Terms("a", "ftp://a")
