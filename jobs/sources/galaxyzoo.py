"""`galaxyzoo`: galaxies that volunteers classified (Lintott et al. 2011), with SDSS cutouts.

Objects come from the published table at VizieR through TAP, in order of objID; pictures from
SDSS's image cutout. Pages: docs/sources.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.errors import ServiceError
from jobs.sources.archive import Facts, Listed, Page, Read
from jobs.sources.contents import frames_in, with_comments, with_wcs
from jobs.sources.network import Network
from jobs.sources.options import Option, name_of, one_of, read_options
from jobs.sources.sdss import SCALE, SIZE, cutout
from jobs.sources.source import Offer

FLAGS = {"elliptical": "fE", "spiral": "fS", "uncertain": "fU"}
OBJECT_ID = re.compile(r"[0-9]{1,20}")

OPTIONS = {
    "kind": Option(one_of("any", *FLAGS), "elliptical, spiral, uncertain or any", "any"),
    "pixels": SIZE,
    "scale": SCALE,
}


@dataclass(frozen=True)
class GalaxyZooArchive:
    """Classified galaxies of one kind."""

    name: str
    options: Mapping[str, Any] = field(hash=False)
    service: str = "galaxyzoo"

    @classmethod
    def parse(cls, rest: str) -> GalaxyZooArchive:
        """Read the options after `galaxyzoo:`."""
        values = read_options("galaxyzoo", rest, OPTIONS)
        return cls(name_of("galaxyzoo", values, OPTIONS), values)

    def page(self, network: Network, cursor: Any, size: int) -> Page:
        """The next galaxies by objID, which has 18 digits and so sorts as text."""
        import pyvo  # it takes a while, and most processes never ask

        service = network.service("galaxyzoo")
        adql = query(network.settings.galaxyzoo_table, self.options["kind"], cursor or "", size)
        asked = pyvo.dal.TAPQuery(service.terms.base, adql, maxrec=size, session=service.session())
        rows = service.call(lambda: _rows(asked.execute()))
        listed = tuple(self._listed(row) for row in rows)
        last = max((row["objID"] for row in rows), default=cursor)
        return Page(listed, last, more=len(rows) >= size)

    def _listed(self, row: Mapping[str, Any]) -> Listed:
        shape = {"pixels": self.options["pixels"], "scale": self.options["scale"]}
        return Listed(
            f"galaxyzoo:{row['objID']}", f"{shape['pixels']}-{shape['scale']}", {**row, **shape}
        )

    def fetch(self, network: Network, facts: Facts) -> tuple[bytes, ...]:
        """The SDSS cutout around the galaxy."""
        place = float(facts["ra_deg"]), float(facts["dec_deg"])
        return (cutout(network, *place, facts["pixels"], facts["scale"]),)

    @property
    def read(self) -> Read:
        """Frames of a fetched cutout."""
        return read_galaxy


def query(table: str, kind: str, after: str, size: int) -> str:
    """The ADQL that lists the next galaxies. Raises ServiceError for an id that cannot be."""
    if after and not OBJECT_ID.fullmatch(after):
        raise ServiceError(f"the cursor of galaxyzoo is no objID: {after[:40]!r}")
    wanted = [f"objID > '{after}'"]
    if kind in FLAGS:
        wanted.append(f"{FLAGS[kind]} = 1")
    name = table.replace('"', "")
    return (
        f"SELECT TOP {size:d} objID, RAJ2000, DEJ2000, fE, fS, fU "  # noqa: S608
        f'FROM "{name}" WHERE {" AND ".join(wanted)} ORDER BY objID'
    )


def read_galaxy(
    contents: tuple[bytes, ...], facts: Facts, source: str, max_pixels: int
) -> tuple[Offer, ...]:
    """Offers of a cutout, with what the volunteers said as a comment in the header."""
    place: dict[str, Any] = {"ra_deg": float(facts["ra_deg"]), "dec_deg": float(facts["dec_deg"])}
    offers = frames_in(
        contents[0], "cutout.jpg", source=source, object_id=facts["objID"],
        uri=f"galaxyzoo:{facts['objID']}", max_pixels=max_pixels, instrument="SDSS", band="gri",
        **place,
    )  # fmt: skip
    said = ", ".join(kind for kind, flag in FLAGS.items() if facts.get(flag)) or "no flag"
    drawn = (with_wcs(offer, **place, scale_arcsec=facts["scale"]) for offer in offers)
    return tuple(with_comments(offer, galaxyzoo=said) for offer in drawn)


def _rows(results: Any) -> list[dict[str, Any]]:
    """Rows as plain values. Raises what the table raises where a column is missing."""
    table = results.to_table()
    rows = []
    for row in table:
        place = float(row["RAJ2000"]), float(row["DEJ2000"])
        rows.append(
            {
                "objID": str(row["objID"]).strip(),
                "ra_deg": place[0],
                "dec_deg": place[1],
                **{flag: bool(int(row[flag])) for flag in FLAGS.values()},
            }
        )
    return rows
