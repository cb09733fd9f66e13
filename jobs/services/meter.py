"""Quotas counted: how many questions of this hour and day are spent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.services.clock import Clock
from jobs.services.failures import QuotaSpent
from jobs.services.terms import HOUR_S, Terms

Window = tuple[int, int]
"""Length of the period in seconds, and the number of the period since 1970."""


@dataclass(frozen=True)
class Spent:
    """One quota in its present window."""

    period_s: int
    used: int
    calls: int


class Meter:
    """Counts questions against the quotas of one service."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock
        self._used: dict[Window, int] = {}
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Count one question. Raises QuotaSpent, counting nothing, where a quota is used up."""
        now_s = self._clock.now().timestamp()
        with self._lock:
            for quota in self._terms.quotas:
                number, into_s = divmod(now_s, quota.period_s)
                if self._used.get((quota.period_s, int(number)), 0) >= quota.calls:
                    period = "hour" if quota.period_s == HOUR_S else f"{quota.period_s} s"
                    period = "day" if quota.period_s == 24 * HOUR_S else period
                    raise QuotaSpent(
                        f"the {quota.calls} questions of one {period} to {self._terms.name} are "
                        f"used up; there are new ones in {quota.period_s - into_s:.0f} s",
                        quota.period_s - into_s,
                    )
            windows = [(q.period_s, int(now_s // q.period_s)) for q in self._terms.quotas]
            self._used = {window: self._used.get(window, 0) + 1 for window in windows}

    def spent(self) -> tuple[Spent, ...]:
        """Each quota with what is used of it now."""
        now_s = self._clock.now().timestamp()
        with self._lock:
            spent = []
            for quota in self._terms.quotas:
                window = quota.period_s, int(now_s // quota.period_s)
                spent.append(Spent(quota.period_s, self._used.get(window, 0), quota.calls))
            return tuple(spent)

    def windows(self) -> Mapping[Window, int]:
        """The counters as they are to be kept."""
        with self._lock:
            return dict(self._used)

    def restore(self, windows: Mapping[Window, int]) -> None:
        """Go on from counters that were kept."""
        with self._lock:
            self._used = dict(windows)
