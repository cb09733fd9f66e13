"""How asking a service fails: for good, or in a way that passes.

ServiceError (jobs.errors)     it refused, or answered nonsense: asking the same again is no use
└── PassingFailure             down, late, cut short or busy: ask again later
    ├── ServiceResting         not asked: its circuit breaker is open
    └── QuotaSpent             not asked: the quota of this hour or day is used up
"""

from __future__ import annotations

from jobs.errors import ServiceError


class PassingFailure(ServiceError):
    """A failure that may be over later; `pause_s` is how long the service asked us to wait."""

    def __init__(self, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class ServiceResting(PassingFailure):
    """The service failed too often and is left alone for `pause_s` more seconds."""


class QuotaSpent(PassingFailure):
    """The quota is used up; it is new in `pause_s` seconds."""
