"""A sky that answers as the services do: a loopback TAP service that reads ADQL and uploads."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from urllib.parse import parse_qsl

from astropy.table import Table

from tests.jobs.catalogues import bodies
from tests.loopback import Asked, LoopbackServer, Reply

SIMBAD, SDSS12, SDSS16, GAIA = "basic", "V/147/sdss12", "V/154/sdss16", "I/355/gaiadr3"
PLACE = (83.63311, 22.01446)
CRAB: bodies.Row = ("V* CM Tau", "Psr", 83.633076, 22.014493)
FROM = re.compile(r'(?:FROM|JOIN) "?([\w/]+)"? AS o')
CIRCLE = re.compile(r"CIRCLE\('ICRS', ([-\d.]+), ([-\d.]+), ([\d.]+)\)")


def form(asked: Asked) -> dict[str, bytes]:
    """The fields of a posted form, urlencoded (RFC 1866) or in parts (RFC 7578)."""
    kind = asked.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return {name: value.encode() for name, value in parse_qsl(asked.body.decode())}
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + asked.body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = bytes(part.get_payload(decode=True))
    return fields


def uploaded(fields: dict[str, bytes]) -> Table:
    """The table that UPLOAD names (TAP 1.1, section 2.5.2: NAME,param:PART)."""
    name, _, where = fields["UPLOAD"].decode().partition(",")
    assert (name, where) == ("cones", "param:cones")
    return Table.read(io.BytesIO(fields["cones"]), format="votable")


def around(place: tuple[float, float], arcsec: float = 20.0) -> list[bodies.Row]:
    """Four objects about a place, one in each quarter of the sky around it."""
    ra, dec = place
    step = arcsec / 3600
    return [
        (f"corner {i}", "3", ra + east * step, dec + north * step)
        for i, (east, north) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1)))
    ]


@dataclass
class Sky:
    """Objects by table; every question to its TAP service is answered from them, and counted."""

    tables: dict[str, list[bodies.Row]] = field(default_factory=dict)
    status: str = "OK"

    def serve(self, server: LoopbackServer) -> None:
        server.on(bodies.SIMBAD_PATH, self.answer)
        server.on(bodies.VIZIER_PATH, self.answer)

    def answer(self, asked: Asked) -> Reply:
        fields = form(asked)
        query = fields["QUERY"].decode()
        table = FROM.search(query)
        assert table is not None, query
        return Reply(self.listing(self.tables.get(table[1], []), fields, query))

    def listing(self, objects: list[bodies.Row], fields: dict[str, bytes], query: str) -> bytes:
        if "UPLOAD" in fields:
            cones = [
                (int(row["cone_number"]), row["cone_ra"], row["cone_dec"], row["cone_radius"])
                for row in uploaded(fields)
            ]
        else:
            circle = CIRCLE.search(query)
            assert circle is not None, query
            cones = [(0, float(circle[1]), float(circle[2]), float(circle[3]))]
        rows = [
            (number, *each)
            for number, ra, dec, radius in cones
            for each in objects
            if _apart(ra, dec, each) <= radius
        ]
        most = int(fields["MAXREC"])
        status = "OVERFLOW" if len(rows) > most else self.status
        return bodies.tap(*rows[:most], status=status)


def _apart(ra: float, dec: float, row: bodies.Row) -> float:
    """Haversine distance in degrees."""
    (a, d), (x, y) = ((math.radians(float(v)) for v in place) for place in ((ra, dec), row[2:]))
    half = math.sin((y - d) / 2) ** 2 + math.cos(d) * math.cos(y) * math.sin((x - a) / 2) ** 2
    return math.degrees(2 * math.asin(math.sqrt(half)))
