"""Tables of VizieR over TAPVizieR: SDSS, Gaia, or any other that has positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from jobs.catalogues import tap
from jobs.catalogues.catalogue import Coverage, RemoteCatalogue
from jobs.errors import SettingsError
from jobs.services import Service

CDS = "vizier.cds.unistra.fr"
CDS_TAP = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap"
TABLE = re.compile(r'[^"\s]+')


SDSS_KINDS = {"3": "galaxy", "6": "star"}


@dataclass(frozen=True)
class Known:
    """What we know of a table: its service's name, its title, what it covers, its columns."""

    service: str
    title: str
    coverage: Coverage
    columns: tap.TapTable


def _columns(table: str, name: str, kind: str, ra: str, dec: str, prefix: str = "") -> tap.TapTable:
    def quoted(identifier: str) -> str:
        return f'"{identifier}"' if identifier else ""

    return tap.TapTable(
        quoted(table),
        quoted(name),
        quoted(kind),
        quoted(ra),
        quoted(dec),
        prefix=prefix,
        kinds=SDSS_KINDS if kind == "class" else {},
    )


KNOWN = {
    "V/147/sdss12": Known(
        "sdss_dr12",
        "SDSS DR12",
        "footprint",
        _columns("V/147/sdss12", "objID", "class", "RA_ICRS", "DE_ICRS", "SDSS DR12 objID "),
    ),
    "V/154/sdss16": Known(
        "sdss_dr16",
        "SDSS DR16",
        "footprint",
        _columns("V/154/sdss16", "objID", "class", "RA_ICRS", "DE_ICRS", "SDSS DR16 objID "),
    ),
    "I/355/gaiadr3": Known(
        "gaia_dr3",
        "Gaia DR3",
        "whole_sky",
        _columns("I/355/gaiadr3", "Source", "", "RA_ICRS", "DE_ICRS", "Gaia DR3 "),
    ),
}
"""Tables and columns as VizieR's descriptions name them (class: 3 = galaxy, 6 = star)."""


def tap_address(vizier_url: str) -> str:
    """The TAP service that belongs to a VizieR server; CDS gives it a host of its own."""
    if urlsplit(vizier_url).hostname == CDS:
        return CDS_TAP
    return f"{vizier_url.rstrip('/')}/TAPVizieR/tap"


def catalogue(service: Service, table: str, batch: int) -> RemoteCatalogue:
    """One table of VizieR. Raises SettingsError for a name that cannot be one.

    A table that is not in `KNOWN` is asked by the columns RAJ2000, DEJ2000 and recno that VizieR
    gives every table with positions, and counts as having a footprint, which is the careful guess.
    """
    if not TABLE.fullmatch(table):
        raise SettingsError(f"expected a VizieR table such as V/154/sdss16, got {table!r}")
    known = KNOWN.get(table) or Known(
        f"vizier {table}",
        table,
        "footprint",
        _columns(table, "recno", "", "RAJ2000", "DEJ2000"),
    )
    return RemoteCatalogue(
        known.service,
        known.title,
        known.coverage,
        service.terms.base,
        partial(tap.ask, service, known.columns),
        batch=batch,
    )
