"""HTTP as every client here speaks it: an adapter below requests, astroquery and pyvo alike."""

from __future__ import annotations

import io
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from jobs.errors import ServiceError
from jobs.services.clock import Clock
from jobs.services.failures import PassingFailure
from jobs.services.terms import Terms

CHUNK = 65536
BUSY = (429, 503)
PASSING = (408, 425, 429)
LEFT_OUT = ("content-encoding", "content-length", "transfer-encoding", "connection")


class Gate(Protocol):
    """What stands before a service: rate, quota and breaker."""

    def enter(self) -> None:
        """Wait for a turn, or raise PassingFailure where the question must not go out."""
        ...

    def leave(self, failure: ServiceError | None) -> None:
        """Say how the attempt ended."""
        ...


class PoliteAdapter(HTTPAdapter):
    """Sends each request through a gate, retries what passes, and hands over whole bodies only.

    Mounted on a requests session it gives timeouts, retries with exponential back-off and jitter,
    Retry-After, a limit of bytes and the check against Content-Length to whatever client uses that
    session. A request takes at most the terms' `timeout_s`, with its retries. `rewrites` sends
    addresses that begin with a key to where its value points (libraries fix their hosts).
    Raises ServiceError (PassingFailure where asking again later may help).
    """

    def __init__(
        self, terms: Terms, gate: Gate, clock: Clock, rewrites: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(max_retries=0)
        self._terms = terms
        self._gate = gate
        self._clock = clock
        self._rewrites = dict(rewrites or {})

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        """Send, and send again where that helps."""
        self._point(request)
        request.headers.setdefault("User-Agent", user_agent())
        if request.headers.get("User-Agent", "").startswith("python-requests"):
            request.headers["User-Agent"] = user_agent()
        deadline_s = self._clock.seconds() + self._terms.timeout_s
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._helps_to_repeat(deadline_s)),
            stop=tenacity.stop_after_attempt(self._terms.attempts),
            wait=_pause,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._attempt, request, options, deadline_s)

    def _helps_to_repeat(self, deadline_s: float) -> Any:
        def helps(error: BaseException) -> bool:
            if type(error) is not PassingFailure:
                return False
            return self._clock.seconds() + error.pause_s < deadline_s

        return helps

    def _attempt(
        self, request: requests.PreparedRequest, options: Mapping[str, Any], deadline_s: float
    ) -> requests.Response:
        self._gate.enter()
        try:
            response = self._exchange(request, options, deadline_s)
        except ServiceError as error:
            self._gate.leave(error)
            raise
        except BaseException:
            self._gate.leave(None)
            raise
        self._gate.leave(None)
        return response

    def _exchange(
        self, request: requests.PreparedRequest, options: Mapping[str, Any], deadline_s: float
    ) -> requests.Response:
        left_s = deadline_s - self._clock.seconds()
        if left_s <= 0:
            raise self._too_late()
        try:
            answer = super().send(request, **{**options, "stream": True, "timeout": left_s})
            with answer:
                self._refuse_failure(answer)
                body = self._body(answer, deadline_s)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise self._too_late() from error
        except requests.ConnectionError as error:
            host, kind = urlsplit(request.url or "").netloc, type(error).__name__
            raise PassingFailure(
                f"{self._terms.name} cannot be reached at {host} ({kind})"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise PassingFailure(
                f"the answer of {self._terms.name} was cut short on its way"
            ) from error
        except (requests.RequestException, UnicodeError, ValueError) as error:
            address = without_query(request.url or "")
            raise ServiceError(
                f"{address} cannot be asked ({type(error).__name__}): check it in the settings"
            ) from error
        return self._whole(request, answer, body)

    def _refuse_failure(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status < 500 and status not in PASSING:
            return
        pause_s = retry_after_s(answer.headers.get("Retry-After", ""), self._clock)
        busy = "asks for fewer questions" if status in BUSY and pause_s else "cannot answer now"
        raise PassingFailure(f"{self._terms.name} {busy} (HTTP {status})", pause_s)

    def _body(self, answer: requests.Response, deadline_s: float) -> bytes:
        """Read to the end. The deadline is checked at each piece: a trickle never times out."""
        body = bytearray()
        while piece := answer.raw.read1(CHUNK, decode_content=True):
            body += piece
            if self._clock.seconds() > deadline_s:
                raise self._too_late()
            if len(body) > self._terms.max_bytes:
                raise ServiceError(
                    f"the answer of {self._terms.name} is larger than {self._terms.max_bytes} "
                    "bytes: ask for less, or raise the limit in the settings"
                )
        return bytes(body)

    def _whole(
        self, request: requests.PreparedRequest, answer: requests.Response, body: bytes
    ) -> requests.Response:
        """The answer with its body here: clients may still stream it, but no longer lose it."""
        headers = urllib3.HTTPHeaderDict(answer.raw.headers)
        for name in LEFT_OUT:
            headers.discard(name)
        headers["Content-Length"] = str(len(body))
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body),
            headers=headers,
            status=answer.status_code,
            reason=answer.reason,
            preload_content=False,
            request_method=request.method,
        )
        return self.build_response(request, raw)

    def _point(self, request: requests.PreparedRequest) -> None:
        for fixed, wanted in self._rewrites.items():
            if request.url and request.url.startswith(fixed) and fixed != wanted:
                request.url = wanted + request.url[len(fixed) :]
                return

    def _too_late(self) -> PassingFailure:
        return PassingFailure(f"{self._terms.name} timed out after {self._terms.timeout_s:g} s")


def retry_after_s(stated: str, clock: Clock) -> float:
    """Seconds that a Retry-After header asks for: a number or a date (RFC 9110, 10.2.3)."""
    if stated.strip().isdigit():
        return float(stated)
    try:
        when = parsedate_to_datetime(stated)
        return max(0.0, (when - clock.now()).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def without_query(address: str) -> str:
    """An address as it may be shown and kept: what is asked may hold a key."""
    return address.split("?")[0][:200]


def user_agent() -> str:
    """Who asks, so that a service can tell us from others."""
    return f"skysieve/{version('skysieve')}"


_backoff = tenacity.wait_exponential_jitter(multiplier=0.5, max=8, jitter=0.5)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.pause_s if isinstance(error, PassingFailure) else 0.0
    return max(asked_s, _backoff(state))
