"""A polite rate: questions to one service go out at least an interval apart."""

from __future__ import annotations

import threading

from jobs.services.clock import Clock


class Limiter:
    """Lets at most `per_second` questions a second through, whichever thread asks."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._interval_s = 1 / per_second
        self._clock = clock
        self._next_turn_s = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Block until a question may be sent."""
        with self._lock:
            now_s = self._clock.seconds()
            turn_s = max(now_s, self._next_turn_s)
            self._next_turn_s = turn_s + self._interval_s
        if turn_s > now_s:
            self._clock.sleep(turn_s - now_s)
