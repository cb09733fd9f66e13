"""`skyview`: images of many surveys from NASA's SkyView, tile by tile around a place.

The form is filled in by astroquery; the FITS file that it answers with is fetched whole, and
says itself where it lies. Pages: docs/sources.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from jobs.errors import ServiceError
from jobs.services import Service
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.contents import frames_in
from jobs.sources.network import Network
from jobs.sources.options import Option, name_of, number, read_options, whole, words
from jobs.sources.source import Offer

FORM = "/current/cgi/basicform.pl"

OPTIONS = {
    "survey": Option(words, "a survey as SkyView names it, such as DSS2 Red"),
    "ra": Option(number(0, 360), "degrees, of the middle"),
    "dec": Option(number(-89, 89), "degrees"),
    "size": Option(number(0.005, 10), "side of a tile in degrees; 0.1", 0.1),
    "pixels": Option(whole(50, 2000), "side of a tile in pixels; 300", 300),
    "tiles": Option(whole(1, 50), "tiles a side; 1", 1),
}


@dataclass(frozen=True)
class SkyViewArchive:
    """A square of tiles in one survey."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "skyview"

    @classmethod
    def parse(cls, rest: str) -> SkyViewArchive:
        """Read the options after `skyview:`."""
        values = read_options("skyview", rest, OPTIONS)
        return cls(name_of("skyview", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:  # noqa: ARG002
        """The next tiles, row by row; nothing has to be asked to know them."""
        begin, total = int(cursor or 0), self.options["tiles"] ** 2
        end = min(begin + size, total)
        return Page(
            tuple(self._listed(index) for index in range(begin, end)), end, more=end < total
        )

    def _listed(self, index: int) -> Listed:
        ra_deg, dec_deg = _tile(self.options, index)
        shape = {name: self.options[name] for name in ("survey", "size", "pixels")}
        facts = {**shape, "ra": ra_deg, "dec": dec_deg}
        uri = f"skyview:{shape['survey']}/{ra_deg:.6f},{dec_deg:.6f}"
        return Listed(uri, f"{shape['size']:g}-{shape['pixels']}", facts)

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The FITS file of a tile."""
        service = network.service("skyview")
        addresses = service.call(lambda: _addresses(service, facts))
        if len(addresses) != 1:
            raise ServiceError(
                f"skyview answered with {len(addresses)} images of {facts['survey']}, not one: "
                "does the survey cover this place?"
            )
        own, named = urlsplit(service.terms.base).hostname, urlsplit(addresses[0]).hostname
        if named != own:
            raise ServiceError(f"skyview points to another host, {named!r}")
        return (service.get(addresses[0], whole="fits").content,)

    @property
    def read(self) -> Read:
        """The frame of a tile."""
        return read_tile


def read_tile(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Offers of a tile; the position comes from its WCS."""
    place = f"{facts['ra']:.6f},{facts['dec']:.6f}"
    return frames_in(
        contents[0], "tile.fits", source=source, object_id=f"{facts['survey']} {place}",
        uri=f"skyview:{facts['survey']}/{place}", max_pixels=max_pixels, band=facts["survey"],
        instrument="SkyView",
    )  # fmt: skip


def _tile(options: Mapping[str, Any], index: int) -> tuple[float, float]:
    """Where the middle of a tile lies: offsets in the tangent plane of the whole square."""
    from astropy.coordinates import SkyCoord

    row, column = divmod(index, options["tiles"])
    if options["tiles"] == 1:
        return options["ra"], options["dec"]
    middle = (options["tiles"] - 1) / 2
    place = SkyCoord(options["ra"], options["dec"], unit="deg").spherical_offsets_by(
        (column - middle) * options["size"] * _deg(), (row - middle) * options["size"] * _deg()
    )
    return round(float(place.ra.deg), 6), round(float(place.dec.deg), 6)


def _deg() -> Any:
    from astropy import units

    return units.deg


def _addresses(service: Service, facts: Facts) -> list[str]:
    from astropy import units
    from astropy.coordinates import SkyCoord
    from astroquery.skyview import SkyViewClass

    class UncachedSkyView(SkyViewClass):  # type: ignore[misc]
        URL = f"{service.terms.base}{FORM}"

        def _request(self, *args: Any, **options: Any) -> Any:
            return super()._request(*args, **{**options, "cache": False})

    client = UncachedSkyView()
    service.mount(client._session)
    side = facts["size"] * units.deg
    addresses: list[str] = client.get_image_list(
        position=SkyCoord(facts["ra"], facts["dec"], unit="deg"),
        survey=[facts["survey"]],
        coordinates="J2000",
        pixels=str(facts["pixels"]),
        width=side,
        height=side,
    )
    return addresses
