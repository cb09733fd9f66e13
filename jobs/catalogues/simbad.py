"""SIMBAD over TAP (IVOA Table Access Protocol 1.1): one synchronous ADQL query a cone."""

from __future__ import annotations

from functools import partial

from pyvo.dal.tap import TAPQuery

from jobs.catalogues.answer import Cone
from jobs.catalogues.catalogue import RemoteCatalogue
from jobs.catalogues.listing import Listing
from jobs.catalogues.transport import Question, Transport
from jobs.catalogues.votable import degrees, find_column, named, overflowed, read_votable, texts
from jobs.errors import ServiceError

MOST_ROWS = 1000
ADQL = (
    "SELECT main_id, otype_txt, ra, dec FROM basic WHERE "
    "CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', {:.8f}, {:.8f}, {:.10f})) = 1"
)


def catalogue(url: str, transport: Transport) -> RemoteCatalogue:
    """SIMBAD's TAP service at `url` (its base, without /sync)."""
    return RemoteCatalogue("simbad", partial(question, url), listing, transport)


def question(url: str, cone: Cone) -> Question:
    """The TAP request as pyvo composes it; sent by our transport, which knows a deadline."""
    query = TAPQuery(url.rstrip("/"), adql(cone), maxrec=MOST_ROWS)
    return Question(query.queryurl, {name: str(value) for name, value in query.items()})


def adql(cone: Cone) -> str:
    """The query for one cone, in ADQL 2.0 (angles in degrees)."""
    return ADQL.format(cone.ra_deg, cone.dec_deg, cone.radius_arcsec / 3600)


def listing(body: bytes) -> Listing:
    """Read SIMBAD's answer: exactly the table that was selected."""
    document = read_votable(body)
    tables = list(document.iter_tables())
    if len(tables) != 1:
        raise ServiceError(f"one table was expected, the answer holds {len(tables)}")
    ra, dec = find_column(tables[0], named("ra")), find_column(tables[0], named("dec"))
    name = find_column(tables[0], named("main_id"))
    if ra is None or dec is None or name is None:
        raise ServiceError("the answer lacks the columns main_id, ra, dec that were selected")
    cut = overflowed(document) or len(ra) >= MOST_ROWS
    return Listing(
        texts(name, len(ra)),
        texts(find_column(tables[0], named("otype_txt")), len(ra)),
        degrees(ra),
        degrees(dec),
        gap=f"the answer was cut after {len(ra)} objects" if cut else "",
    )
