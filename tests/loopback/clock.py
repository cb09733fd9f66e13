"""A clock whose hands are moved by hand: waiting takes no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.services import Clock

BEGIN = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)


class Hands:
    """What moves a `Clock`: sleeping, `pass_by`, and `step_s` at each look at the seconds."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.passed_s = 0.0
        self.jumped_s = 0.0
        self.step_s = step_s
        self.slept_s: list[float] = []
        self.clock = Clock(seconds=self._seconds, now=self._now, sleep=self._sleep)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.passed_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator might."""
        self.jumped_s += seconds

    def _seconds(self) -> float:
        self.passed_s += self.step_s
        return self.passed_s

    def _now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.passed_s + self.jumped_s)

    def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.passed_s += seconds
