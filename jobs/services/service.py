"""One outside service, and all of them: who is asked how, and how that went."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import requests

from jobs.errors import ServiceError
from jobs.services.breaker import Breaker, State
from jobs.services.clock import Clock
from jobs.services.failures import PassingFailure
from jobs.services.limiter import Limiter
from jobs.services.meter import Meter, Spent
from jobs.services.terms import Terms
from jobs.services.transport import PoliteAdapter, without_query
from jobs.services.whole import Kind, check_whole

SAVE_EVERY_S = 5.0


@dataclass(frozen=True)
class Answer:
    """The whole body of an answer, its type as stated, and where it came from in the end."""

    content: bytes
    content_type: str
    url: str


@dataclass(frozen=True)
class Health:
    """How a service fares: counts of single attempts, times in UTC."""

    name: str
    url: str
    breaker: State
    failures: int
    rests: int
    rest_left_s: float
    asked: int
    succeeded: int
    failed: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str
    quotas: tuple[Spent, ...]


class Ledger(Protocol):
    """Where health and quotas are kept across restarts (`jobs.services.kept` uses the store)."""

    def read(self, name: str) -> Mapping[str, Any]:
        """What was kept of a service: columns of service_health and `windows`; may be empty."""
        ...

    def write(self, health: Health, windows: Mapping[tuple[int, int], int], now: datetime) -> None:
        """Keep it."""
        ...


class Service:
    """One service under its terms; one object for all threads of a process."""

    def __init__(self, terms: Terms, clock: Clock | None = None, ledger: Ledger | None = None):
        self.terms = terms
        self.clock = clock or Clock()
        self._limiter = Limiter(terms.per_second, self.clock)
        self._breaker = Breaker(terms, self.clock)
        self._meter = Meter(terms, self.clock)
        self._ledger = ledger
        self._lock = threading.Lock()
        self._saved_s = float("-inf")
        self._counts = {"asked": 0, "succeeded": 0, "failed": 0}
        self._last_success_at: datetime | None = None
        self._last_failure_at: datetime | None = None
        self._last_error = ""
        if ledger is not None:
            self._restore(ledger.read(terms.name))

    # Asking.

    def session(self, rewrites: Mapping[str, str] | None = None) -> requests.Session:
        """A requests session for clients that bring their own protocol (astroquery, pyvo)."""
        session = requests.Session()
        self.mount(session, rewrites)
        return session

    def mount(self, session: Any, rewrites: Mapping[str, str] | None = None) -> None:
        """Put this service's adapter below a session that a library made."""
        adapter = PoliteAdapter(self.terms, self, self.clock, rewrites)
        session.mount("http://", adapter)
        session.mount("https://", adapter)

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        whole: Kind = "any",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET `url`. Raises PassingFailure or ServiceError; a body that is not `whole` passes."""
        return self._ask("GET", url, whole, params=params, headers=headers)

    def post(
        self,
        url: str,
        data: Mapping[str, Any] | None = None,
        *,
        json: Any = None,
        files: Any = None,
        whole: Kind = "any",
    ) -> Answer:
        """POST a form, JSON or files to `url`. Raises as `get` does."""
        return self._ask("POST", url, whole, data=data, json=json, files=files)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a library that asks through a session of ours; its errors become ServiceError.

        Failures below (the network) come out as they are; what the library itself raises because
        of the answer's content is this service's fault and for good.
        """
        with self.speaking():
            return function()

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """As `call`, around a block."""
        try:
            yield
        except ServiceError:
            raise
        except Exception as error:
            cause = _service_error_in(error)
            if cause is not None:
                raise cause from error
            reason = (str(error).splitlines() or [""])[0][:300]
            raise ServiceError(
                f"{self.terms.name} answered with something else than expected "
                f"({type(error).__name__}: {reason})"
            ) from error

    def _ask(self, method: str, url: str, whole: Kind, **options: Any) -> Answer:
        with self.session() as session, self.speaking():
            response = session.request(method, url, **options)
        if not response.ok:
            raise ServiceError(
                f"{self.terms.name} refused {method} {without_query(response.url)}: HTTP "
                f"{response.status_code} {(response.reason or '')[:80]}".rstrip()
            )
        try:
            check_whole(response.content, whole)
        except PassingFailure as error:
            self.complain(error)
            raise PassingFailure(f"{self.terms.name}: {error}") from error
        kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        return Answer(response.content, kind, response.url)

    def complain(self, failure: ServiceError) -> None:
        """Count an answer that arrived but is no answer (an error page, half a picture)."""
        self._note(failure)
        self._save()

    # The gate that the adapter goes through.

    def enter(self) -> None:
        """Wait for a turn; PassingFailure where the service rests or its quota is spent."""
        self._breaker.enter()
        try:
            self._meter.spend()
        except PassingFailure as error:
            self._breaker.abandoned()
            with self._lock:
                self._last_error = str(error)
            raise
        self._limiter.wait()
        with self._lock:
            self._counts["asked"] += 1

    def leave(self, failure: ServiceError | None) -> None:
        """Note how an attempt ended."""
        if failure is None:
            before = self._breaker.state
            self._breaker.succeeded()
            with self._lock:
                self._counts["succeeded"] += 1
                self._last_success_at = self.clock.now()
            self._save(at_once=before != "closed" or bool(self.terms.quotas))
        else:
            self._note(failure)
            self._save(at_once=self._breaker.state != "closed" or bool(self.terms.quotas))

    def _note(self, failure: ServiceError) -> None:
        if isinstance(failure, PassingFailure):
            # What can be waited for within one question is no reason to leave the service alone.
            long = failure.pause_s >= self.terms.timeout_s
            self._breaker.failed(failure.pause_s if long else 0.0)
        else:
            self._breaker.succeeded()  # it answers, if not as hoped
        with self._lock:
            self._counts["failed"] += 1
            self._last_failure_at = self.clock.now()
            self._last_error = str(failure)

    # Health.

    def health(self) -> Health:
        """How the service fares now."""
        with self._lock:
            counts, error = dict(self._counts), self._last_error
            success_at, failure_at = self._last_success_at, self._last_failure_at
        return Health(
            name=self.terms.name,
            url=self.terms.url,
            breaker=self._breaker.state,
            failures=self._breaker.failures,
            rests=self._breaker.rests,
            rest_left_s=self._breaker.left_s,
            last_success_at=success_at,
            last_failure_at=failure_at,
            last_error=error,
            quotas=self._meter.spent(),
            **counts,
        )

    def save(self) -> None:
        """Keep the health in the ledger now."""
        self._save(at_once=True)

    def _save(self, *, at_once: bool = False) -> None:
        now_s = self.clock.seconds()
        if self._ledger is None or (not at_once and now_s - self._saved_s < SAVE_EVERY_S):
            return
        self._saved_s = now_s
        self._ledger.write(self.health(), self._meter.windows(), self.clock.now())

    def _restore(self, kept: Mapping[str, Any]) -> None:
        if not kept:
            return
        self._counts = {name: int(kept[name]) for name in self._counts}
        self._last_success_at = kept["last_success_at"]
        self._last_failure_at = kept["last_failure_at"]
        self._last_error = kept["last_error"]
        resting_until = kept["resting_until"]
        left_s = (resting_until - self.clock.now()).total_seconds() if resting_until else 0.0
        self._breaker.restore(int(kept["failures"]), int(kept["rests"]), left_s)
        self._meter.restore(kept["windows"])


class Services:
    """The services of one process, each made once, so that rate, breaker and quota are shared."""

    def __init__(
        self,
        terms: Mapping[str, Terms] | None = None,
        *,
        clock: Clock | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._terms = dict(terms or {})
        self._clock = clock or Clock()
        self._ledger = ledger
        self._made: dict[str, Service] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Service:
        """The service of this name. Raises KeyError when no terms were given for it."""
        return self.open(self._terms[name])

    def open(self, terms: Terms) -> Service:
        """The service under these terms; the first ones given for a name stay."""
        with self._lock:
            if terms.name not in self._made:
                self._made[terms.name] = Service(terms, self._clock, self._ledger)
            return self._made[terms.name]

    @property
    def names(self) -> tuple[str, ...]:
        """Every service that terms are known for."""
        return tuple(sorted({*self._terms, *self._made}))

    def save(self) -> None:
        """Keep the health of all that were used."""
        for service in list(self._made.values()):
            service.save()


def _service_error_in(error: BaseException) -> ServiceError | None:
    """Our own error where a library wrapped it in one of its own."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        for inner in (current, *getattr(current, "args", ()), getattr(current, "cause", None)):
            if isinstance(inner, ServiceError):
                return inner
        current = current.__cause__ or current.__context__
    return None
