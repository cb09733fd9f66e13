"""What a schedule must be before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobs.choosing import CHOICES, THOMPSON, sources_among
from jobs.errors import UsageError
from jobs.rhythm import check_rhythm

KINDS = ("scan", "learn")
POLICIES = ("normal", "aggressive")
ROLES = ("interest",)


def check_schedule(row: Mapping[str, Any], check_source: Callable[[str], object]) -> None:
    """Raise UsageError unless the schedule can be kept; `check_source` refuses a bad source."""
    check_rhythm(row["every_s"], row["cron"])
    for name, known in (("kind", KINDS), ("policy", POLICIES), ("choice", CHOICES)):
        if row[name] not in known:
            raise UsageError(f"{name} must be one of {', '.join(known)}, got {row[name]!r}")
    if row["kind"] == "learn":
        check_role(row["source"], "learned")
        return
    sources = sources_among(row["source"]) if row["choice"] == THOMPSON else (row["source"],)
    for source in sources:
        check_source(source)


def check_role(role: object, done: str) -> str:
    """The role of a model that can be `done` ("learned", "promoted"); UsageError for any other."""
    if role not in ROLES:
        raise UsageError(f"what can be {done}: {', '.join(ROLES)}; got {role!r}")
    return str(role)
