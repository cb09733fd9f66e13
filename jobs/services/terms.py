"""What we allow ourselves with one service: rate, patience, size, quota."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import SettingsError

HOUR_S = 3600
DAY_S = 86400


@dataclass(frozen=True)
class Quota:
    """At most `calls` in each window of `period_s` seconds; windows begin at whole periods, UTC."""

    calls: int
    period_s: int = DAY_S


@dataclass(frozen=True)
class Terms:
    """How one service is asked.

    `per_second` questions a second at most; `timeout_s` for one question, its retries and pauses
    included; `attempts` for one question; `failures_to_open` failed attempts in a row open the
    circuit breaker for `rest_s` seconds, twice as long each time up to `longest_rest_s`;
    `max_bytes` of one answer. Raises SettingsError on values that cannot work.
    """

    name: str
    url: str
    per_second: float = 5.0
    timeout_s: float = 30.0
    attempts: int = 3
    failures_to_open: int = 5
    rest_s: float = 60.0
    longest_rest_s: float = 3600.0
    max_bytes: int = 64 * 2**20
    quotas: tuple[Quota, ...] = ()

    def __post_init__(self) -> None:
        positive = ("per_second", "timeout_s", "attempts", "failures_to_open", "rest_s",
                    "longest_rest_s", "max_bytes")  # fmt: skip
        for field in positive:
            if not getattr(self, field) > 0:
                raise SettingsError(
                    f"{field} of the service {self.name} must be above 0, "
                    f"got {getattr(self, field)!r}: change it in the settings"
                )
        if not self.url.startswith(("http://", "https://")):
            raise SettingsError(
                f"the address of the service {self.name} must begin with http:// or https://, "
                f"got {self.url!r}: change it in the settings"
            )

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")
