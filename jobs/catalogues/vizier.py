"""A VizieR table asked for a cone, by the Astronomical Server URL interface (`viz-bin/votable`)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from jobs.catalogues.answer import Cone
from jobs.catalogues.catalogue import RemoteCatalogue
from jobs.catalogues.listing import Listing
from jobs.catalogues.transport import Question, Transport
from jobs.catalogues.votable import degrees, find_column, meaning, named, read_votable, texts
from jobs.errors import ServiceError

MOST_ROWS = 1000


def catalogue(url: str, table: str, transport: Transport) -> RemoteCatalogue:
    """One table or catalogue (such as V/147/sdss12) of the VizieR server at `url`."""
    return RemoteCatalogue("vizier", partial(question, url, table), listing, transport)


def question(url: str, table: str, cone: Cone) -> Question:
    """Default columns plus J2000 degrees, nearest first."""
    return Question(
        f"{url.rstrip('/')}/viz-bin/votable",
        {
            "-source": table,
            "-c": f"{cone.ra_deg:.8f}{cone.dec_deg:+.8f}",
            "-c.eq": "J2000",
            "-c.rs": f"{cone.radius_arcsec:.6f}",
            "-out": "*",
            "-out.add": "_r,_RAJ2000,_DEJ2000",
            "-sort": "_r",
            "-oc.form": "d",
            "-out.max": str(MOST_ROWS),
        },
    )


def listing(body: bytes) -> Listing:
    """Read every table of the answer; one without any table (unknown catalogue) proves nothing."""
    tables = list(read_votable(body).iter_tables())
    if not tables:
        raise ServiceError("the answer holds no table: is the catalogue's name right?")
    parts = [_part(table) for table in tables]
    cut = any(len(part.names) >= MOST_ROWS for part in parts)
    return Listing(
        tuple(name for part in parts for name in part.names),
        tuple(kind for part in parts for kind in part.types),
        np.concatenate([part.ra_deg for part in parts]),
        np.concatenate([part.dec_deg for part in parts]),
        gap=f"the answer was cut after {MOST_ROWS} objects" if cut else "",
    )


def _part(table: Any) -> Listing:
    """One table; VizieR's UCDs are in their first (ID_MAIN) or second (meta.id) form."""
    ra, dec = find_column(table, named("_RAJ2000")), find_column(table, named("_DEJ2000"))
    if ra is None or dec is None:
        raise ServiceError(f"the table {table.name} came without positions")
    name = find_column(table, meaning("meta.id;meta.main", "ID_MAIN"), meaning("meta.id", "ID_"))
    kind = find_column(table, meaning("src.class", "CLASS_OBJECT"))
    return Listing(
        texts(name, len(ra), missing="unnamed"), texts(kind, len(ra)), degrees(ra), degrees(dec)
    )
