"""`apod`: NASA's Astronomy Picture of the Day, images only, with title and credit.

Days are listed by range; what is no image (a video, a page) is named and ignored. The key is
`NASA_API_KEY`. Pages: docs/sources.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from engine.reading import image_suffix
from jobs.errors import ServiceError, SourceError
from jobs.services import PassingFailure
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.contents import frames_in, with_comments
from jobs.sources.network import PICTURES, Network
from jobs.sources.options import Option, day, name_of, one_of, read_options
from jobs.sources.source import Offer

FIRST_DAY = date(1995, 6, 16)
HOME_DOMAIN = "nasa.gov"
BEHIND_UTC = timedelta(hours=6)
"""A day's picture comes out in the evening before, or the night of, that day in the eastern US."""
LOOK_BACK = timedelta(days=7)

OPTIONS = {
    "start": Option(day, "first day, YYYY-MM-DD; a week ago", None),
    "end": Option(day, "last day; open", None),
    "size": Option(one_of("screen", "full"), "screen (the page's picture) or full", "screen"),
}


@dataclass(frozen=True)
class ApodArchive:
    """The pictures from one day on."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "apod"

    @classmethod
    def parse(cls, rest: str) -> ApodArchive:
        """Read the options after `apod:`."""
        values = read_options("apod", rest, OPTIONS)
        start, end = values["start"], values["end"]
        if start is not None and date.fromisoformat(start) < FIRST_DAY:
            raise SourceError(f"the first picture was of {FIRST_DAY}: begin there or later")
        if start is not None and end is not None and end < start:
            raise SourceError(f"apod ends on {end}, before it starts on {start}")
        return cls(name_of("apod", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The next days up to today; nothing is asked where all are known."""
        now = network.clock.now()
        today = (now - BEHIND_UTC).date()
        last = min(today, date.fromisoformat(self.options["end"] or today.isoformat()))
        begin = cursor or self.options["start"] or (today - LOOK_BACK).isoformat()
        first = date.fromisoformat(begin)
        if first > last:
            return Page((), begin, more=False)
        until = min(last, first + timedelta(days=size - 1))
        listed = tuple(self._listed(entry) for entry in self._entries(network, first, until))
        return Page(listed, (until + timedelta(days=1)).isoformat(), more=until < last)

    def _entries(self, network: Network, first: date, until: date) -> list[dict[str, str]]:
        service = network.service("apod")
        params = {
            "api_key": network.settings.nasa_api_key,
            "start_date": first.isoformat(),
            "end_date": until.isoformat(),
        }
        answer = service.get(service.terms.url, params)
        try:
            return [_entry(entry) for entry in json.loads(answer.content)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            failure = PassingFailure(
                f"apod answered with something else than days ({type(error).__name__}: {error})"
            )
            service.complain(failure)
            raise failure from error

    def _listed(self, entry: Mapping[str, str]) -> Listed:
        address = entry["hdurl"] if self.options["size"] == "full" else entry["url"]
        facts = {**entry, "address": address or entry["url"]}
        return Listed(f"apod:{entry['date']}", self.options["size"], facts)

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The picture, where there is one and NASA keeps it."""
        if facts["media_type"] != "image":
            return ()
        host = urlsplit(facts["address"]).hostname or ""
        own = urlsplit(network.settings.apod_url).hostname
        if host != own and host != HOME_DOMAIN and not host.endswith(f".{HOME_DOMAIN}"):
            raise ServiceError(f"the picture of {facts['date']} is not at NASA but at {host!r}")
        service = network.service(PICTURES)
        return (service.get(facts["address"], whole="picture").content,)

    @property
    def read(self) -> Read:
        """The frame of a day."""
        return read_picture_of_day


def read_picture_of_day(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Offers of the picture; title and copyright are comments of its header.

    It has no position: the archive states none.
    """
    if not contents:
        reason = f"no image but {facts['media_type']} ({facts['title']})"
        return (Offer(part="", outcome="ignored", reason=reason),)
    name = PurePosixPath(urlsplit(facts["address"]).path).name
    suffix = image_suffix(PurePosixPath(name)) or ".jpg"  # type: ignore[arg-type]
    offers = frames_in(
        contents[0], f"picture{suffix}", source=source, object_id=f"APOD {facts['date']}",
        uri=facts["address"], max_pixels=max_pixels,
    )  # fmt: skip
    credit = facts["copyright"] or "public domain (NASA)"
    return tuple(with_comments(offer, title=facts["title"], copyright=credit) for offer in offers)


def _entry(entry: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: str(entry.get(name) or "") for name in ("title", "copyright", "url", "hdurl")}
    kept["date"] = date.fromisoformat(str(entry["date"])).isoformat()
    kept["media_type"] = str(entry["media_type"])
    return kept
