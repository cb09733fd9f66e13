"""Archives: sources that list in pages behind a cursor, and whose images are fetched one by one.

A page and the cursor behind it are kept in one transaction; what was listed waits in the store
until it is taken in. So a cycle that is killed, or a service that fails in between, loses nothing
and asks for nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from engine.errors import FrameError
from jobs.errors import ServiceError, SourceError
from jobs.services import PassingFailure
from jobs.sources.network import Network
from jobs.sources.source import Item, Offer

LOCAL_PAGE = 1000
Facts = Mapping[str, Any]
Read = Callable[[tuple[bytes, ...], Facts, str, int], tuple[Offer, ...]]


@dataclass(frozen=True)
class Listed:
    """One thing that an archive has; `facts` (JSON) are all that is needed to fetch and read it."""

    uri: str
    fingerprint: str
    facts: Facts

    def row(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {"uri": self.uri, "fingerprint": self.fingerprint, "facts": dict(self.facts)}


@dataclass(frozen=True)
class Page:
    """What one question listed; `more` says whether the next page may hold something now."""

    listed: tuple[Listed, ...]
    cursor: Any
    more: bool


class Archive(Protocol):
    """What one small module knows of its service."""

    @property
    def name(self) -> str:
        """The canonical specification."""
        ...

    @property
    def service(self) -> str:
        """Whose page size and health count."""
        ...

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """List up to about `size` things behind `cursor` (None: from the beginning)."""
        ...

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """Fetch whole files. Raises PassingFailure where asking again later may help."""
        ...

    @property
    def read(self) -> Read:
        """A function of a module (workers call it) that makes offers of what was fetched."""
        ...


@dataclass(frozen=True)
class ArchiveSource:
    """A `Source` over an archive: at most `limit` items a cycle, or one page."""

    archive: Archive
    max_pixels: int
    network: Network | None = None
    limit: int | None = None

    @property
    def name(self) -> str:
        """The canonical specification."""
        return self.archive.name

    def items(self) -> Iterator[Item]:
        """What waits from earlier pages, then new pages until there is enough.

        Raises ServiceError when the service cannot be asked and nothing waits.
        """
        network = self._network()
        size = getattr(network.settings, f"{self.archive.service}_page_size", LOCAL_PAGE)
        wanted = self.limit or size
        waiting = network.desk.waiting(self.name, wanted)
        try:
            while len(waiting) < wanted and self._list_a_page(network, size):
                waiting = network.desk.waiting(self.name, wanted)
        except ServiceError as error:
            network.desk.complain(self.name, str(error))
            if not waiting:
                raise
        finally:
            network.services.save()
        waiting = network.desk.waiting(self.name, wanted)
        return iter([self._item(network, row) for row in waiting])

    def _list_a_page(self, network: Network, size: int) -> bool:
        """List one page; whether there may be more."""
        cursor = network.desk.cursor(self.name)
        page = self.archive.page(network, cursor, size)
        network.desk.keep(self.name, [listed.row() for listed in page.listed], page.cursor)
        return page.more and page.cursor != cursor

    def _item(self, network: Network, row: Mapping[str, Any]) -> Item:
        fetch = partial(fetched, network, self.archive, row["uri"], row["facts"])
        read = partial(read_fetched, self.archive.read, row["facts"], self.name, self.max_pixels)
        return Item(row["uri"], row["fingerprint"], read, fetch)

    def _network(self) -> Network:
        if self.network is None:
            raise SourceError(
                f"{self.name} can be scanned by the owner of a store only: use `skysieve scan`"
            )
        return self.network


def fetched(network: Network, archive: Archive, uri: str, facts: Facts) -> tuple[bytes, ...]:
    """Fetch one item; what failed too often to be called passing becomes final."""
    try:
        return archive.fetch(network, facts)
    except PassingFailure as error:
        tried = network.desk.attempts(archive.name, uri) + 1
        if tried >= network.settings.fetch_attempts:
            raise ServiceError(f"{error}; given up after {tried} attempts") from error
        raise


def read_fetched(
    read: Read, facts: Facts, source: str, max_pixels: int, contents: tuple[bytes, ...]
) -> tuple[Offer, ...]:
    """Make offers of what was fetched, in a worker. Raises FrameError."""
    offers = read(contents, facts, source, max_pixels)
    if not offers:
        raise FrameError("the archive's answer holds no image: look at the item there")
    return offers
