"""Asking a service over HTTP: polite, patient up to a limit, and plain about what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from jobs.errors import ServiceError

QUERIES_PER_SECOND = 5.0
ATTEMPTS = 3
LARGEST_ANSWER = 16 * 2**20
CHUNK = 65536
BUSY = 429


@dataclass(frozen=True)
class Question:
    """What is sent: a GET of `url` with these parameters."""

    url: str
    params: Mapping[str, str]


class PassingError(ServiceError):
    """A failure that may be over in a moment; `pause_s` is how long the service asked to wait."""

    def __init__(self, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Limiter:
    """Lets at most `per_second` questions a second through."""

    def __init__(
        self,
        per_second: float = QUERIES_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next_turn_s = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Block until a question may be sent."""
        with self._lock:
            now_s = self._clock()
            turn_s = max(now_s, self._next_turn_s)
            self._next_turn_s = turn_s + self._interval_s
        if turn_s > now_s:
            self._sleep(turn_s - now_s)


class Transport:
    """Sends questions to one service; a question takes at most `timeout_s`, retries included."""

    def __init__(
        self,
        timeout_s: float,
        limiter: Limiter | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timeout_s = timeout_s
        self._limiter = limiter or Limiter()
        self._sleep = sleep

    def ask(self, question: Question) -> bytes:
        """The body of the answer. Raises ServiceError that names what went wrong."""
        deadline_s = time.monotonic() + self.timeout_s
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(self.timeout_s),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        return attempts(self._attempt, question, deadline_s)

    def _attempt(self, question: Question, deadline_s: float) -> bytes:
        self._limiter.wait()
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise self._too_late()
        try:
            with requests.get(
                question.url,
                params=dict(question.params),
                timeout=left_s,
                stream=True,
                headers={"User-Agent": _user_agent(), "Accept-Encoding": "identity"},
            ) as response:
                _refuse_failure(response)
                return self._body(response, deadline_s)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise self._too_late() from error
        except requests.ConnectionError as error:
            host, kind = urlsplit(question.url).netloc, type(error).__name__
            raise PassingError(f"cannot be reached at {host} ({kind})") from error
        except urllib3.exceptions.HTTPError as error:
            raise PassingError("the answer was cut short on its way") from error
        except (requests.RequestException, UnicodeError) as error:
            raise ServiceError(f"{question.url} cannot be asked: {error}") from error

    def _body(self, response: requests.Response, deadline_s: float) -> bytes:
        """Read to the end. The deadline is checked at each piece: a trickle never times out."""
        body = bytearray()
        while piece := response.raw.read1(CHUNK, decode_content=True):
            body += piece
            if time.monotonic() > deadline_s:
                raise self._too_late()
            if len(body) > LARGEST_ANSWER:
                raise ServiceError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        return bytes(body)

    def _too_late(self) -> ServiceError:
        return ServiceError(f"timed out after {self.timeout_s:g} s")


def _refuse_failure(response: requests.Response) -> None:
    if response.status_code == BUSY:
        message = "HTTP 429: the service asks for fewer queries"
        raise PassingError(message, _retry_after_s(response))
    if response.status_code >= 500:
        raise PassingError(f"HTTP {response.status_code}", _retry_after_s(response))
    if response.status_code != 200:
        raise ServiceError(f"HTTP {response.status_code} {response.reason or ''}".rstrip())


def _retry_after_s(response: requests.Response) -> float:
    stated = response.headers.get("Retry-After", "")
    return float(stated) if stated.isdigit() else 0.0


_backoff = tenacity.wait_exponential_jitter(multiplier=0.25, max=4, jitter=0.25)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.pause_s if isinstance(error, PassingError) else 0.0
    return max(asked_s, _backoff(state))


def _user_agent() -> str:
    return f"skysieve/{version('skysieve')}"
