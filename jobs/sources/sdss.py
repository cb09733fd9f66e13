"""`sdss`: cutouts of the Sloan Digital Sky Survey around objects that a query lists.

Objects come from SkyServer's SQL search over PhotoPrimary, in order of objid; colour pictures from
its image cutout; with `format=fits` the calibrated frame of one band from the Science Archive
Server, cut around the object by its WCS. Pages: docs/sources.md.
"""

from __future__ import annotations

import bz2
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import FrameError
from engine.frame import Frame
from jobs.errors import ServiceError, SourceError
from jobs.services import PassingFailure, Service, check_whole
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.contents import frames_in, with_wcs
from jobs.sources.network import SAS, Network
from jobs.sources.options import Option, name_of, number, one_of, read_options, whole
from jobs.sources.source import Offer

TYPES = {"galaxies": 3, "stars": 6}
COLUMNS = ("objid", "ra", "dec", "type", "modelMag_r", "run", "camcol", "field", "mjd")
RERUN = 301
NATURAL_SCALE_ARCSEC = 0.396
SIZE = Option(whole(64, 2048), "side of a cutout in pixels, 64-2048; 256", 256)
SCALE = Option(number(0.05, 10), "arcsec a pixel; 0.396", NATURAL_SCALE_ARCSEC)

OPTIONS = {
    "kind": Option(one_of("galaxies", "stars", "any"), "galaxies, stars or any", "galaxies"),
    "ra": Option(number(0, 360), "degrees; with dec: only around there", None),
    "dec": Option(number(-90, 90), "degrees", None),
    "radius": Option(number(0.01, 60), "arcmin around ra, dec; 5", 5.0),
    "rmin": Option(number(0, 30), "brightest r magnitude", None),
    "rmax": Option(number(0, 30), "faintest r magnitude; 17.5", 17.5),
    "pixels": SIZE,
    "scale": SCALE,
    "format": Option(one_of("jpeg", "fits"), "jpeg (colour) or fits (one band)", "jpeg"),
    "band": Option(one_of("u", "g", "r", "i", "z"), "of format=fits; r", "r"),
}


@dataclass(frozen=True)
class SdssArchive:
    """SDSS objects of a kind, in a field or over the whole survey."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "sdss"

    @classmethod
    def parse(cls, rest: str) -> SdssArchive:
        """Read the options after `sdss:`."""
        values = read_options("sdss", rest, OPTIONS)
        if (values["ra"] is None) != (values["dec"] is None):
            raise SourceError("sdss needs both ra and dec, or neither")
        return cls(name_of("sdss", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The next objects by objid."""
        after = int(cursor or 0)
        rows = search(network, query(self.options, after, size))
        listed = tuple(self._listed(row) for row in rows)
        last = max((int(row["objid"]) for row in rows), default=after)
        return Page(listed, str(last), more=len(rows) >= size)

    def _listed(self, row: Mapping[str, Any]) -> Listed:
        shape = {name: self.options[name] for name in ("pixels", "scale", "format", "band")}
        facts = {**{name: row[name] for name in COLUMNS}, **shape, "objid": str(row["objid"])}
        fingerprint = "-".join(str(value) for value in shape.values())
        return Listed(f"sdss:{row['objid']}", fingerprint, facts)

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The cutout, or the frame that the object lies in."""
        if facts["format"] == "fits":
            return (fetch_frame(network, facts),)
        return (cutout(network, facts["ra"], facts["dec"], facts["pixels"], facts["scale"]),)

    @property
    def read(self) -> Read:
        """Frames of a fetched cutout."""
        return read_sdss


def query(options: Mapping[str, Any], after: int, size: int) -> str:
    """The SQL that lists the next objects (SkyServer's dialect; fGetNearbyObjEq is in arcmin)."""
    source, wanted = "PhotoPrimary p", [f"p.objid > {after:d}", "p.clean = 1"]
    if options["ra"] is not None:
        place = f"{options['ra']:.6f}, {options['dec']:.6f}, {options['radius']:g}"
        source = f"dbo.fGetNearbyObjEq({place}) n JOIN PhotoPrimary p ON p.objid = n.objid"
    if options["kind"] in TYPES:
        wanted.append(f"p.type = {TYPES[options['kind']]}")
    if options["rmin"] is not None:
        wanted.append(f"p.modelMag_r >= {options['rmin']:g}")
    wanted.append(f"p.modelMag_r <= {options['rmax']:g}")
    columns = ", ".join(f"p.{name}" for name in COLUMNS)
    return (
        f"SELECT TOP {size:d} {columns} FROM {source} "  # noqa: S608  numbers only
        f"WHERE {' AND '.join(wanted)} ORDER BY p.objid"
    )


def search(network: Network, sql: str) -> list[dict[str, Any]]:
    """The rows of a query. Raises ServiceError when the answer is no table of these columns."""
    service = network.service("sdss")
    address = f"{_web(network)}/SearchTools/SqlSearch"
    answer = service.get(address, {"cmd": sql, "format": "json"})
    try:
        tables = json.loads(answer.content)
        rows = [dict(row) for table in tables for row in table["Rows"]]
        return [{name: _number(row[name], name) for name in COLUMNS} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        failure = PassingFailure(
            f"sdss answered the search with something else than rows ({type(error).__name__}: "
            f"{str(error)[:80]}): {answer.content[:80]!r}"
        )
        service.complain(failure)
        raise failure from error


def cutout(
    network: Network, ra_deg: float, dec_deg: float, pixels: int, scale_arcsec: float
) -> bytes:
    """A colour picture around a position: north up, JPEG, whole."""
    params = {
        "ra": f"{ra_deg:.7f}", "dec": f"{dec_deg:.7f}", "scale": f"{scale_arcsec:g}",
        "width": pixels, "height": pixels,
    }  # fmt: skip
    address = f"{_web(network)}/ImgCutout/getjpeg"
    return network.service("sdss").get(address, params, whole="jpeg").content


def fetch_frame(network: Network, facts: Facts) -> bytes:
    """The calibrated frame of one band, unpacked and whole."""
    service = network.service(SAS)
    run, camcol, band = int(facts["run"]), int(facts["camcol"]), facts["band"]
    path = f"{RERUN}/{run}/{camcol}/frame-{band}-{run:06d}-{camcol}-{int(facts['field']):04d}"
    address = f"{service.terms.base}/dr17/eboss/photoObj/frames/{path}.fits.bz2"
    content = _unpacked(service, service.get(address).content)
    try:
        check_whole(content, "fits")
    except PassingFailure as failure:
        service.complain(failure)
        raise
    return content


def read_sdss(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Offers of a cutout; the position is the survey's own, the WCS that of the cutout asked."""
    place: dict[str, Any] = {"ra_deg": float(facts["ra"]), "dec_deg": float(facts["dec"])}
    known: dict[str, Any] = {
        "source": source,
        "object_id": str(facts["objid"]),
        "uri": f"sdss:{facts['objid']}",
        "instrument": "SDSS",
        "max_pixels": max_pixels,
    }
    if facts["format"] == "fits":
        offers = frames_in(contents[0], "frame.fits", **known, band=facts["band"])
        return tuple(_cut(offer, facts) if offer.frame else offer for offer in offers)
    offers = frames_in(
        contents[0], "cutout.jpg", **known, **place, mjd=_finite(facts.get("mjd")), band="gri"
    )
    comment = "WCS of the cutout as it was asked for: good to about a pixel"
    return tuple(
        with_wcs(offer, **place, scale_arcsec=facts["scale"], comment=comment) for offer in offers
    )


def _cut(offer: Offer, facts: Facts) -> Offer:
    """The square around the object, with the frame's WCS; outside the frame is masked."""
    from dataclasses import replace

    import numpy as np
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.nddata import Cutout2D, NoOverlapError

    frame = offer.frame
    if frame is None or frame.wcs is None:
        raise FrameError("the frame states no WCS, so the object cannot be found on it")
    middle = SkyCoord(float(facts["ra"]), float(facts["dec"]), unit="deg")
    try:
        part = Cutout2D(
            np.where(frame.mask, np.nan, frame.pixels), middle, facts["pixels"], wcs=frame.wcs,
            mode="partial", fill_value=np.nan,
        )  # fmt: skip
    except NoOverlapError as error:
        raise FrameError("the object does not lie on its frame: look at run, camcol, field") from (
            error
        )
    header = fits.Header.fromstring(frame.header)
    for card in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        header.remove(card, ignore_missing=True)
    header.update(part.wcs.to_header())
    text = str(header.tostring(sep="", endcard=False, padding=False))
    origin = replace(frame.origin, ra_deg=float(facts["ra"]), dec_deg=float(facts["dec"]))
    cut = Frame.of(part.data, origin, unit=frame.unit, sample_type=frame.sample_type, header=text)
    return replace(offer, frame=cut)


def _unpacked(service: Service, packed: bytes) -> bytes:
    unpacker = bz2.BZ2Decompressor()
    try:
        content = unpacker.decompress(packed, max_length=service.terms.max_bytes)
    except OSError as error:
        raise _complained(service, f"the frame is no bzip2 file ({error})") from error
    if unpacker.eof:
        return content
    if len(content) >= service.terms.max_bytes:
        raise ServiceError(f"the frame unpacks to more than {service.terms.max_bytes} bytes")
    raise _complained(service, "the frame was cut short")


def _complained(service: Service, message: str) -> PassingFailure:
    failure = PassingFailure(f"{service.terms.name}: {message}")
    service.complain(failure)
    return failure


def _web(network: Network) -> str:
    base = network.service("sdss").terms.base
    return f"{base}/{network.settings.sdss_release}/SkyServerWS"


def _number(value: Any, name: str) -> float | int:
    return int(value) if name in ("objid", "type", "run", "camcol", "field") else float(value)


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and float(value) > 0 else None
