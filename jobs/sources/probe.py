"""One small question to each service of the sources: does it answer as its documentation says?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jobs.errors import JobError
from jobs.services import Clock, Services
from jobs.settings import Settings
from jobs.sources.network import Network

PROBES = {
    "sdss": "sdss:rmax=14",
    "galaxyzoo": "galaxyzoo",
    "ztf": "ztf",
    "apod": "apod:start={yesterday}",
    "mast": "tess:ra=84.291,dec=-80.469,size=2",
    "skyview": "skyview:survey=DSS2 Red,ra=83.633,dec=22.014,pixels=50",
}
"""The Crab nebula, pi Mensae (which TESS has seen), and the beginning of each list."""


@dataclass(frozen=True)
class Probed:
    """How a service answered; `trouble` is empty where it did."""

    service: str
    listed: int
    trouble: str


class NoDesk:
    """A `Desk` that keeps nothing: a probe leaves no cursor behind."""

    def cursor(self, source: str) -> Any:
        """Every listing begins at the beginning."""

    def keep(self, source: str, items: Iterable[Mapping[str, Any]], cursor: Any) -> int:  # noqa: ARG002
        """Nothing is kept."""
        return 0

    def waiting(self, source: str, limit: int) -> list[dict[str, Any]]:  # noqa: ARG002
        """Nothing waits."""
        return []

    def attempts(self, source: str, uri: str) -> int:  # noqa: ARG002
        """Nothing was tried before."""
        return 0

    def complain(self, source: str, reason: str) -> None:
        """Nothing is kept."""


def probe_sources(settings: Settings, clock: Clock | None = None) -> Iterator[Probed]:
    """Ask each service once; a service that fails is a finding, not an error."""
    from jobs.sources import ARCHIVES  # they import this package

    clock = clock or Clock()
    network = Network(settings, Services(clock=clock), NoDesk(), clock, attempts=1)
    yesterday = (clock.now() - timedelta(days=1, hours=6)).date().isoformat()
    for service, specification in PROBES.items():
        kind, _, rest = specification.format(yesterday=yesterday).partition(":")
        archive = ARCHIVES[kind].parse(rest)
        try:
            page = archive.page(network, None, 1)
            if service == "skyview":
                archive.fetch(network, page.listed[0].facts)  # its listing asks nobody
            yield Probed(service, len(page.listed), "")
        except JobError as error:
            yield Probed(service, 0, str(error))
