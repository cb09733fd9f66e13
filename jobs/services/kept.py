"""The health of services kept in the store, so that a restart forgets neither rest nor quota."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from db import sources
from db.store import Store
from jobs.services.service import Health


@dataclass(frozen=True)
class StoreLedger:
    """A `Ledger` over the tables service_health and service_quota."""

    store: Store

    def read(self, name: str) -> Mapping[str, Any]:
        """What was kept of a service, empty where there is nothing."""
        return sources.read_health(self.store, name)

    def write(self, health: Health, windows: Mapping[tuple[int, int], int], now: datetime) -> None:
        """Keep it."""
        rest = timedelta(seconds=health.rest_left_s)
        row = {name: getattr(health, name, None) for name in sources.HEALTH_COLUMNS}
        row |= {
            "service": health.name,
            "resting_until": now + rest if rest else None,
            "changed_at": now,
        }
        allowed = {spent.period_s: spent.calls for spent in health.quotas}
        counted = [
            (period_s, number, used, allowed[period_s])
            for (period_s, number), used in windows.items()
            if period_s in allowed
        ]
        sources.write_health(self.store, row, counted)
