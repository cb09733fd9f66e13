"""What a source needs beside its specification: settings, services and a place for its cursor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from db import sources as kept
from db.errors import StoreError
from db.store import Store
from jobs.services import DAY_S, HOUR_S, Clock, Quota, Service, Services, Terms
from jobs.services.kept import StoreLedger
from jobs.settings import Settings

log = logging.getLogger(__name__)
PICTURES = "apod-pictures"
SAS = "sdss-sas"


class Desk(Protocol):
    """Where the cursors and listed items of sources are kept."""

    def cursor(self, source: str) -> Any:
        """Where the listing stands, None at the beginning."""
        ...

    def keep(self, source: str, items: Iterable[Mapping[str, Any]], cursor: Any) -> int:
        """Keep a page and move the cursor; returns how many items are new."""
        ...

    def waiting(self, source: str, limit: int) -> list[dict[str, Any]]:
        """Listed items that were not taken in."""
        ...

    def attempts(self, source: str, uri: str) -> int:
        """How often fetching this item failed."""
        ...

    def complain(self, source: str, reason: str) -> None:
        """Keep why a listing failed."""
        ...


@dataclass(frozen=True)
class StoreDesk:
    """A `Desk` over the store."""

    store: Store
    clock: Clock

    def cursor(self, source: str) -> Any:
        """Where the listing stands."""
        return kept.read_cursor(self.store, source)

    def keep(self, source: str, items: Iterable[Mapping[str, Any]], cursor: Any) -> int:
        """Keep a page and move the cursor, both or neither."""
        return kept.keep_page(self.store, source, items, cursor, self.clock.now())

    def waiting(self, source: str, limit: int) -> list[dict[str, Any]]:
        """Listed items that were not taken in."""
        return kept.waiting_items(self.store, source, limit)

    def attempts(self, source: str, uri: str) -> int:
        """How often fetching this item failed."""
        return kept.failed_attempts(self.store, source, uri)

    def complain(self, source: str, reason: str) -> None:
        """Keep why a listing failed."""
        kept.note_listing_failure(self.store, source, reason, self.clock.now())


@dataclass(frozen=True)
class Network:
    """The way out: one for a process, so that rates, breakers and quotas are shared."""

    settings: Settings
    services: Services
    desk: Desk
    clock: Clock
    attempts: int = 3

    def service(self, name: str) -> Service:
        """A service of the sources."""
        return self.services.open(replace(terms_of(self.settings, name), attempts=self.attempts))

    def close(self) -> None:
        """Keep the health of every service as it is now; a store that is lost keeps none."""
        try:
            self.services.save()
        except StoreError:
            log.exception("the health of the services could not be kept")


def open_network(settings: Settings, store: Store, clock: Clock | None = None) -> Network:
    """The network of an owner, with health and cursors in its store."""
    clock = clock or Clock()
    services = Services(clock=clock, ledger=StoreLedger(store))
    return Network(settings, services, StoreDesk(store, clock), clock)


def terms_of(settings: Settings, name: str) -> Terms:
    """The terms of a source's service, from the settings."""
    base = {PICTURES: "apod", SAS: "sdss"}.get(name, name)
    address = {PICTURES: settings.apod_url, SAS: settings.sdss_sas_url}.get(name)
    quotas: tuple[Quota, ...] = (Quota(getattr(settings, f"{base}_daily_quota"), DAY_S),)
    if name == "apod":
        quotas = (Quota(settings.apod_hourly_quota, HOUR_S), *quotas)
    if name == PICTURES:
        quotas = ()  # pictures come from a web server without keys
    return Terms(
        name=name,
        url=address or getattr(settings, f"{base}_url"),
        per_second=getattr(settings, f"{base}_per_second"),
        timeout_s=getattr(settings, f"{base}_timeout_s"),
        max_bytes=settings.max_download_bytes,
        quotas=quotas,
    )
