"""SkyBoT: what of the solar system was where and when (Berthier et al. 2006, ADASS XV, 367)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from astropy.time import Time

from jobs.catalogues.answer import Cone
from jobs.catalogues.catalogue import RemoteCatalogue
from jobs.catalogues.listing import NOTHING, Listing
from jobs.catalogues.votable import degrees, find_column, named, read_votable, texts
from jobs.errors import ServiceError
from jobs.services import Service

WIDE_ARCSEC = 1200.0
"""Known asteroids are some hundreds a square degree at the ecliptic: counted within 20 arcmin."""
NOBODY = "no solar system object was found"


def catalogue(service: Service) -> RemoteCatalogue:
    """SkyBoT's cone search (the service's address is .../conesearch.php)."""
    return RemoteCatalogue(
        "skybot",
        "SkyBoT",
        "moving",
        service.terms.url,
        partial(ask, service),
        wide_arcsec=WIDE_ARCSEC,
    )


def ask(service: Service, cones: Sequence[Cone]) -> list[Listing]:
    """One question for each cone: the service takes no list."""
    return [listing(service.get(service.terms.url, parameters(cone)).content) for cone in cones]


def parameters(cone: Cone) -> dict[str, str]:
    """Planets, asteroids and comets as seen from the Earth's centre, positions in J2000."""
    return {
        "-ra": f"{cone.ra_deg:.8f}",
        "-dec": f"{cone.dec_deg:.8f}",
        "-rd": f"{cone.radius_arcsec / 3600:.8f}",
        "-ep": f"{Time(cone.mjd, format='mjd', scale='utc').jd:.6f}",
        "-loc": "500",
        "-filter": "120",
        "-objFilter": "111",
        "-refsys": "EQJ2000",
        "-output": "object",
        "-mime": "votable",
        "-from": "skysieve",
    }


def listing(body: bytes) -> Listing:
    """Read the answer; an error that says that nobody was there is an empty list."""
    try:
        document = read_votable(body)
    except ServiceError as error:
        if NOBODY in str(error).lower():
            return NOTHING
        raise
    tables = list(document.iter_tables())
    if len(tables) != 1:
        raise ServiceError(f"one table was expected, the answer holds {len(tables)}")
    ra, dec = (find_column(tables[0], named(name)) for name in ("_RAJ2000", "_DECJ2000"))
    name = find_column(tables[0], named("Name"))
    if ra is None or dec is None or name is None:
        raise ServiceError("the answer lacks the columns Name, _RAJ2000, _DECJ2000")
    kind = find_column(tables[0], named("Class"))
    return Listing(texts(name, len(ra)), texts(kind, len(ra)), degrees(ra), degrees(dec))
