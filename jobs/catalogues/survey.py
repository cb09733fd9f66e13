"""One catalogue asked about many spots: what is known already is not asked, the rest in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from db import catalogues as kept
from db.store import Store
from jobs.catalogues.answer import Cone
from jobs.catalogues.catalogue import Catalogue
from jobs.catalogues.cells import Cell, cell_of, moment_of, near_arcsec
from jobs.catalogues.listing import Listing, Sighting
from jobs.errors import ServiceError
from jobs.ids import stable_id
from jobs.services import PassingFailure

FAILURES_IN_A_ROW = 3
Row = dict[str, Any]


@dataclass(frozen=True)
class Spot:
    """What is asked of a catalogue: a cell, how far around it to look, and when (what moves)."""

    cell: Cell
    near_arcsec: float
    mjd: float | None = None

    @classmethod
    def around(cls, cone: Cone, *, moving: bool) -> Spot:
        """The spot whose answer holds for this cone."""
        mjd = None
        if moving and cone.mjd is not None:
            mjd = float(moment_of(cone.mjd)) / 1440
        return cls(cell_of(cone.ra_deg, cone.dec_deg), near_arcsec(cone.radius_arcsec), mjd)

    @property
    def cone(self) -> Cone:
        """The cone about the cell's centre."""
        return Cone(self.cell.ra_deg, self.cell.dec_deg, min(self.near_arcsec, 3600.0), self.mjd)

    @property
    def key(self) -> tuple[str, str, float]:
        """What the store keeps its answer under."""
        return (self.cell.name, "" if self.mjd is None else moment_of(self.mjd), self.near_arcsec)


@dataclass
class Portion:
    """Some spots' sightings, or why there are none; `rows` are those of cones just asked."""

    seen: dict[Spot, Sighting] = field(default_factory=dict)
    failed: dict[Spot, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Survey:
    """Asks one catalogue about spots; answers not older than `since` are taken from the store."""

    store: Store
    catalogue: Catalogue
    clock: Callable[[], datetime]
    since: datetime | None
    cancelled: Callable[[], bool] = lambda: False

    def run(self, spots: Sequence[Spot]) -> Iterator[Portion]:
        """Yield every spot once, in portions.

        A failure that passes (down, late, busy) ends the asking: the rest fails for the same
        reason, so that a dead service costs its timeout once. A question that is refused or comes
        back as nonsense is put again in halves, and three such in a row end it too.
        """
        known = self._known(spots)
        if known.seen:
            yield known
        yield from self._asked([spot for spot in spots if spot not in known.seen])

    def _known(self, spots: Sequence[Spot]) -> Portion:
        if self.since is None:
            return Portion()
        cells = sorted({spot.cell.name for spot in spots})
        rows = kept.young_cones(self.store, self.catalogue.service, cells, self.since)
        return Portion({s: _sighting_of(rows[s.key]) for s in spots if s.key in rows})

    def _asked(self, spots: Sequence[Spot]) -> Iterator[Portion]:
        size = self.catalogue.batch
        # The next batch is the last of the list.
        batches = [spots[at : at + size] for at in range(0, len(spots), size)][::-1]
        in_a_row = 0
        while batches and not self.cancelled():
            batch = batches.pop()
            try:
                portion = self._ask(batch)
                in_a_row = 0
            except PassingFailure as error:
                yield _failed([batch, *batches], str(error))
                return
            except ServiceError as error:
                in_a_row += 1
                if in_a_row >= FAILURES_IN_A_ROW:
                    yield _failed([batch, *batches], str(error))
                    return
                if len(batch) > 1:
                    half = len(batch) // 2
                    batches += [batch[half:], batch[:half]]
                    continue
                portion = _failed([batch], str(error))
            yield portion

    def _ask(self, batch: Sequence[Spot]) -> Portion:
        sightings = self.catalogue.sightings(
            [spot.cone for spot in batch], [spot.near_arcsec for spot in batch]
        )
        now = self.clock()
        portion = Portion()
        for spot, sighting in zip(batch, sightings, strict=True):
            row = self._row(spot, sighting, now)
            portion.rows.append(row)
            portion.seen[spot] = replace(sighting, asked_at=now, cone_id=row["cone_id"])
        return portion

    def _row(self, spot: Spot, sighting: Sighting, now: datetime) -> Row:
        cell, moment, near = spot.key
        service = self.catalogue.service
        return {
            "cone_id": stable_id("cone", service, cell, moment, near, now.isoformat()),
            "service": service,
            "cell": cell,
            "moment": moment,
            "ra_deg": sighting.ra_deg,
            "dec_deg": sighting.dec_deg,
            "near_arcsec": near,
            "wide_arcsec": sighting.wide_arcsec,
            "wide_objects": sighting.wide_objects,
            "covered": sighting.covered,
            "gap": sighting.doubt,
            "objects": sighting.near.as_json(),
            "asked_at": now,
        }


def _sighting_of(row: Mapping[str, Any]) -> Sighting:
    return Sighting(
        row["ra_deg"], row["dec_deg"], row["near_arcsec"], row["wide_arcsec"],
        Listing.from_json(row["objects"]), row["wide_objects"], row["covered"], row["gap"],
        row["asked_at"], row["cone_id"],
    )  # fmt: skip


def _failed(batches: Sequence[Sequence[Spot]], reason: str) -> Portion:
    return Portion(failed={spot: reason for batch in batches for spot in batch})
