"""Cone searches over TAP (IVOA Table Access Protocol 1.1), one by one or many by an upload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.table import Table
from pyvo.dal.tap import TAPQuery

from jobs.catalogues.answer import Cone
from jobs.catalogues.listing import Listing
from jobs.catalogues.votable import degrees, find_column, named, overflowed, read_votable, texts
from jobs.errors import ServiceError
from jobs.services import Service

MOST_ROWS = 2000
MOST_ROWS_OF_MANY = 50_000
UPLOAD = "cones"


@dataclass(frozen=True)
class TapTable:
    """A table with positions: its name and columns as ADQL writes them (quoted where needed).

    `kind` may be empty; `prefix` goes before each name, `kinds` says codes of the kind in words.
    """

    table: str
    name: str
    kind: str
    ra: str
    dec: str
    prefix: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)

    def one(self, cone: Cone) -> str:
        """The query for one cone, in ADQL 2.0 (angles in degrees)."""
        place = f"{cone.ra_deg:.8f}, {cone.dec_deg:.8f}, {cone.radius_arcsec / 3600:.8f}"
        circle = f"CIRCLE('ICRS', {place})"
        return (
            f"SELECT {self._selected('o')} FROM {self.table} AS o "  # noqa: S608  no outside text
            f"WHERE CONTAINS({self._point('o')}, {circle}) = 1"
        )

    def many(self) -> str:
        """The query for all the cones of the uploaded table."""
        circle = "CIRCLE('ICRS', u.cone_ra, u.cone_dec, u.cone_radius)"
        return (
            f"SELECT u.cone_number AS cone_number, {self._selected('o')} "  # noqa: S608  as above
            f"FROM TAP_UPLOAD.{UPLOAD} AS u JOIN {self.table} AS o "
            f"ON CONTAINS({self._point('o')}, {circle}) = 1"
        )

    def _selected(self, alias: str) -> str:
        columns = {"object_name": self.name, "object_ra": self.ra, "object_dec": self.dec}
        if self.kind:
            columns["object_type"] = self.kind
        return ", ".join(f"{alias}.{column} AS {name}" for name, column in columns.items())

    def _point(self, alias: str) -> str:
        return f"POINT('ICRS', {alias}.{self.ra}, {alias}.{self.dec})"


def ask(service: Service, table: TapTable, cones: Sequence[Cone]) -> list[Listing]:
    """Put one synchronous query through pyvo and sort what it lists by cone.

    Raises ServiceError for whatever is not a whole answer to this query.
    """
    single = len(cones) == 1
    query = TAPQuery(
        service.terms.base,
        table.one(cones[0]) if single else table.many(),
        maxrec=MOST_ROWS if single else MOST_ROWS_OF_MANY,
        uploads=None if single else {UPLOAD: upload_of(cones)},
        session=service.session(),
    )
    with service.speaking():
        response = query.submit()
    if response.status_code != 200:
        # A refused query comes with a VOTable that says why (DALI 1.1, 4.2), if we are lucky.
        raise ServiceError(_refusal(response.status_code, response.content))
    return listings(table, response.content, len(cones), query["MAXREC"])


def upload_of(cones: Sequence[Cone]) -> Table:
    """The cones as the table that is uploaded; angles in degrees."""
    return Table(
        {
            "cone_number": np.arange(len(cones), dtype=np.int32),
            "cone_ra": np.array([cone.ra_deg for cone in cones]),
            "cone_dec": np.array([cone.dec_deg for cone in cones]),
            "cone_radius": np.array([cone.radius_arcsec / 3600 for cone in cones]),
        }
    )


def listings(table: TapTable, body: bytes, cones: int, most_rows: int) -> list[Listing]:
    """Read the answer: exactly the columns that were selected, each row under its cone."""
    document = read_votable(body)
    tables = list(document.iter_tables())
    if len(tables) != 1:
        raise ServiceError(f"one table was expected, the answer holds {len(tables)}")
    selected = ("object_name", "object_ra", "object_dec", *(("cone_number",) * (cones > 1)))
    columns = {}
    for name in selected:
        column = find_column(tables[0], named(name))
        if column is None:
            raise ServiceError(f"the answer lacks the column {name} that was selected")
        columns[name] = column
    ra, dec = degrees(columns["object_ra"]), degrees(columns["object_dec"])
    number = degrees(columns["cone_number"]) if cones > 1 else np.zeros(len(ra))
    if not np.isin(number, np.arange(cones)).all():
        raise ServiceError("the answer names cones that were not asked about")
    cut = overflowed(document) or len(ra) >= most_rows
    names = texts(columns["object_name"], len(ra))
    kinds = texts(find_column(tables[0], named("object_type")), len(ra))
    whole = Listing(
        tuple(f"{table.prefix}{name}" if name else "unnamed" for name in names),
        tuple(table.kinds.get(kind, kind) for kind in kinds),
        ra,
        dec,
        gap=f"the answer was cut after {len(ra)} objects" if cut else "",
    )
    return [whole.only(np.flatnonzero(number == each)) for each in range(cones)]


def _refusal(status: int, body: bytes) -> str:
    try:
        read_votable(body)
    except ServiceError as error:
        if "reported an error" in str(error):
            return f"HTTP {status}: {error}"
    return f"HTTP {status}"
