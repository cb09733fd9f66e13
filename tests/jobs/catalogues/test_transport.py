"""Questions go out politely, are tried again where that helps, and end in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.catalogues import transport
from jobs.catalogues.transport import Limiter, Question, Transport
from jobs.errors import ServiceError
from tests.loopback import LoopbackServer, Reply


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


def ask(server: LoopbackServer, timeout_s: float = 5, clock: Clock | None = None) -> bytes:
    sleep = (clock or Clock()).sleep
    return Transport(timeout_s, sleep=sleep).ask(Question(f"{server.url}/q", {"a": "1 + 2"}))


def test_at_most_five_a_second() -> None:
    clock = Clock()
    limiter = Limiter(5, clock, clock.sleep)
    for _ in range(11):
        limiter.wait()
    assert clock.now_s - 100 == pytest.approx(2.0)
    clock.now_s += 10
    limiter.wait()
    assert len(clock.slept_s) == 10, "after a pause nobody waits"


def test_threads_share_the_limit() -> None:
    """Turns are given out one interval apart, whoever asks: on a clock that stands still."""
    waits_s: list[float] = []
    limiter = Limiter(5, clock=lambda: 100.0, sleep=waits_s.append)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(40):
            pool.submit(limiter.wait)
    assert sorted(waits_s) == pytest.approx([0.2 * turn for turn in range(1, 40)])


def test_every_attempt_counts_as_a_query(server: LoopbackServer) -> None:
    clock = Clock()
    server.on("/q", Reply(status=500))
    limited = Transport(5, Limiter(5, clock, clock.sleep), sleep=lambda seconds: None)
    with pytest.raises(ServiceError, match="HTTP 500"):
        limited.ask(Question(f"{server.url}/q", {}))
    assert sum(clock.slept_s) == pytest.approx(0.4)


def test_parameters_arrive_as_they_were_given(server: LoopbackServer) -> None:
    server.on("/q", Reply(b"body"))
    assert ask(server) == b"body"
    assert server.asked[0].params == {"a": "1 + 2"}


@pytest.mark.parametrize(
    "trouble", [Reply(status=500), Reply(status=503), Reply(status=429), Reply(b"ha", withheld=2)]
)
def test_passing_trouble_is_tried_again(server: LoopbackServer, trouble: Reply) -> None:
    clock = Clock()
    server.on("/q", trouble, trouble, Reply(b"at last"))
    assert ask(server, clock=clock) == b"at last"
    assert len(clock.slept_s) == 2
    assert 0.25 <= clock.slept_s[0] <= 0.5 <= clock.slept_s[1] <= 0.75


def test_after_two_retries_it_gives_up(server: LoopbackServer) -> None:
    server.on("/q", Reply(status=502))
    with pytest.raises(ServiceError, match="HTTP 502"):
        ask(server)
    assert len(server.asked) == 3


def test_a_refusal_is_not_tried_again(server: LoopbackServer) -> None:
    server.on("/q", Reply(status=400))
    with pytest.raises(ServiceError, match="HTTP 400 Bad Request"):
        ask(server)
    assert len(server.asked) == 1


def test_the_pause_a_service_asks_for_is_kept(server: LoopbackServer) -> None:
    clock = Clock()
    server.on("/q", Reply(status=429, headers={"Retry-After": "3"}), Reply(b"ok"))
    assert ask(server, clock=clock) == b"ok"
    assert clock.slept_s == [3.0]


def test_a_pause_longer_than_the_timeout_ends_the_question(server: LoopbackServer) -> None:
    clock = Clock()
    server.on("/q", Reply(status=429, headers={"Retry-After": "60"}))
    with pytest.raises(ServiceError, match="429"):
        ask(server, clock=clock)
    assert (clock.slept_s, len(server.asked)) == ([], 1)


def test_a_trickle_ends_in_time(server: LoopbackServer) -> None:
    """Every byte comes before a socket would time out, yet the whole is too late."""
    server.on("/q", Reply(b"x" * 100, trickle_s=0.05))
    started_s = time.monotonic()
    with pytest.raises(ServiceError, match=r"timed out after 0\.2 s"):
        ask(server, timeout_s=0.2)
    assert time.monotonic() - started_s < 4
    assert len(server.asked) == 1


def test_an_endless_answer_is_refused(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 1000)
    server.on("/q", Reply(b"x" * 1001))
    with pytest.raises(ServiceError, match="larger than 1000 bytes"):
        ask(server)


@pytest.mark.parametrize("url", ["no-scheme", "ftp://127.0.0.1/x", "http://"])
def test_an_address_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ServiceError, match="cannot be asked"):
        Transport(1).ask(Question(url, {}))
