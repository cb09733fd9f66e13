"""`tess`: cutouts of TESS full-frame images from MAST's TESScut, one a sector.

Sectors are listed by position through astroquery; a cutout is a target-pixel file in a ZIP, and
becomes a frame of the median of its good cadences. Pages: docs/sources.md.
"""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.errors import ServiceError
from jobs.services import PassingFailure, Service, check_whole
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.contents import frames_in, placed
from jobs.sources.network import Network
from jobs.sources.options import Option, name_of, number, read_options, whole
from jobs.sources.source import Offer

PIXEL_ARCSEC = 21.0
FIXED_HOST = "https://mast.stsci.edu"

OPTIONS = {
    "ra": Option(number(0, 360), "degrees"),
    "dec": Option(number(-90, 90), "degrees"),
    "size": Option(whole(2, 100), "side of a cutout in TESS pixels of 21 arcsec; 21", 21),
    "sector": Option(whole(1, 999), "one sector; all", None),
}


@dataclass(frozen=True)
class TessArchive:
    """The sectors that saw one place of the sky."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "mast"

    @classmethod
    def parse(cls, rest: str) -> TessArchive:
        """Read the options after `tess:`."""
        values = read_options("tess", rest, OPTIONS)
        return cls(name_of("tess", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The sectors after the last one listed; later cycles find those that came since."""
        after = int(cursor or 0)
        wanted = self.options["sector"]
        sectors = [
            sector
            for sector in self._sectors(network)
            if sector["sector"] > after and wanted in (None, sector["sector"])
        ]
        chosen = sorted(sectors, key=lambda sector: int(sector["sector"]))[:size]
        listed = tuple(self._listed(sector) for sector in chosen)
        last = max((sector["sector"] for sector in chosen), default=after)
        return Page(listed, last, more=len(sectors) > len(chosen))

    def _sectors(self, network: Network) -> list[dict[str, int]]:
        service = network.service("mast")
        client = _client(service)

        def ask() -> list[dict[str, int]]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no sector at all is an answer
                table = client.get_sectors(coordinates=self._place())
            return [{name: int(row[name]) for name in ("sector", "camera", "ccd")} for row in table]

        found: list[dict[str, int]] = service.call(ask)
        return found

    def _listed(self, sector: Mapping[str, int]) -> Listed:
        place = {name: self.options[name] for name in ("ra", "dec", "size")}
        uri = f"tess:{place['ra']:g},{place['dec']:g}/s{sector['sector']:04d}"
        return Listed(uri, f"{place['size']}", {**place, **sector})

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The target-pixel files of one sector, each whole."""
        service = network.service("mast")
        client = _client(service)
        with tempfile.TemporaryDirectory() as folder:

            def ask() -> bytes | None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        table = client.download_cutouts(
                            coordinates=self._place(), size=facts["size"], sector=facts["sector"],
                            path=folder, inflate=False,
                        )  # fmt: skip
                    except ValueError as error:  # neither a ZIP nor a message in JSON
                        raise _complained(service, "no whole ZIP file") from error
                return Path(table["Local Path"][0]).read_bytes() if len(table) else None

            packed = service.call(ask)
        if packed is None:
            raise ServiceError(f"mast has no cutout of sector {facts['sector']} there")
        return _members(service, packed)

    def _place(self) -> Any:
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.options["ra"], self.options["dec"], unit="deg")

    @property
    def read(self) -> Read:
        """The frames of a sector."""
        return read_cutout


def read_cutout(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Offers of each target-pixel file; the position comes from its WCS where that can be.

    Files of early cutouts put their middle degrees away from the place that was asked for.
    """
    uri = f"tess:{facts['ra']:g},{facts['dec']:g}/s{facts['sector']:04d}"
    offers: list[Offer] = []
    for content in contents:
        offers += frames_in(
            content, "cutout.fits", source=source, uri=uri, max_pixels=max_pixels, band="TESS",
            object_id=f"{facts['ra']:.5f}{facts['dec']:+.5f} s{facts['sector']:04d}",
            instrument="TESS",
        )  # fmt: skip
    place = {"ra_deg": float(facts["ra"]), "dec_deg": float(facts["dec"])}
    side_arcsec = PIXEL_ARCSEC * facts["size"]
    return tuple(placed(offer, **place, within_arcsec=side_arcsec) for offer in offers)


def _members(service: Service, packed: bytes) -> tuple[bytes, ...]:
    """The FITS files of a ZIP, all of it within the limit of bytes."""
    try:
        check_whole(packed, "zip")
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".fits")]
            if sum(info.file_size for info in members) > service.terms.max_bytes:
                raise ServiceError(
                    f"the cutouts unpack to more than {service.terms.max_bytes} bytes: ask for "
                    "a smaller size, or raise max_download_bytes"
                )
            contents = tuple(archive.read(info) for info in members)
        for content in contents:
            check_whole(content, "fits")
    except PassingFailure as failure:
        service.complain(failure)
        raise
    if not contents:
        raise ServiceError("mast sent a ZIP without a FITS file")
    return contents


def _complained(service: Service, what: str) -> PassingFailure:
    failure = PassingFailure(f"{service.terms.name} answered with {what}")
    service.complain(failure)
    return failure


def _client(service: Service) -> Any:
    """astroquery's TESScut over this service's own sessions, without a bar of progress."""
    from astroquery.mast import TesscutClass

    class QuietTesscut(TesscutClass):  # type: ignore[misc]
        def _download_file(self, url: str, local_filepath: str, **options: Any) -> Any:
            return super()._download_file(url, local_filepath, **{**options, "verbose": False})

    client = QuietTesscut()
    for session in (client._session, client._service_api_connection._session):
        service.mount(session, {FIXED_HOST: service.terms.base})
    return client
