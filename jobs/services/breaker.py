"""The circuit breaker: a service that keeps failing is left alone for a while (Nygard 2007)."""

from __future__ import annotations

import threading
from typing import Literal

from jobs.services.clock import Clock
from jobs.services.failures import ServiceResting
from jobs.services.terms import Terms

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Closed: ask. Open: do not. After the rest, half open: one question decides."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._rests = 0
        self._open_until_s: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """What the next question meets."""
        with self._lock:
            if self._open_until_s is None:
                return "closed"
            return "open" if self._clock.seconds() < self._open_until_s else "half_open"

    @property
    def failures(self) -> int:
        """Failed questions in a row."""
        return self._failures

    @property
    def rests(self) -> int:
        """How often in a row it opened."""
        return self._rests

    @property
    def left_s(self) -> float:
        """Seconds until the next question may go out; 0 unless it is open."""
        with self._lock:
            return self._left_s()

    def enter(self) -> None:
        """Ask for leave to send a question. Raises ServiceResting while open or being probed."""
        with self._lock:
            if self._open_until_s is None:
                return
            left_s = self._left_s()
            if left_s > 0 or self._probing:
                raise ServiceResting(
                    f"{self._terms.name} failed {self._failures} times in a row and is left alone "
                    f"for {max(left_s, 1):.0f} s more",
                    max(left_s, 1.0),
                )
            self._probing = True

    def succeeded(self) -> None:
        """The service answered."""
        with self._lock:
            self._failures = self._rests = 0
            self._open_until_s = None
            self._probing = False

    def failed(self, pause_s: float = 0.0) -> None:
        """A question failed; `pause_s` is a rest that the service itself asked for."""
        with self._lock:
            self._failures += 1
            was_probe, self._probing = self._probing, False
            if was_probe or self._failures >= self._terms.failures_to_open or pause_s > 0:
                rest_s = self._terms.rest_s * 2**self._rests
                longest_s = self._terms.longest_rest_s
                self._open_until_s = self._clock.seconds() + min(max(rest_s, pause_s), longest_s)
                self._rests = min(self._rests + 1, 30)

    def abandoned(self) -> None:
        """The question was never sent, so it says nothing about the service."""
        with self._lock:
            self._probing = False

    def restore(self, failures: int, rests: int, left_s: float) -> None:
        """Go on where an earlier process was; a rest beyond the longest one is cut to it."""
        with self._lock:
            self._failures, self._rests = failures, rests
            if left_s > 0:
                rest_s = min(left_s, self._terms.longest_rest_s)
                self._open_until_s = self._clock.seconds() + rest_s

    def _left_s(self) -> float:
        if self._open_until_s is None:
            return 0.0
        return max(0.0, self._open_until_s - self._clock.seconds())
