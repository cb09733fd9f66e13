"""The objects a service listed, and what they say about the cone that was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from jobs.catalogues.answer import AnswerState, CatalogueAnswer, CatalogueMatch, Cause, Cone
from jobs.errors import ServiceError

ROUNDING_ARCSEC = 1.0


@dataclass(frozen=True)
class Listing:
    """Objects as a service listed them; `gap` says what may be missing, empty = nothing."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    gap: str = ""

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.types) == self.ra_deg.size == self.dec_deg.size:
            raise ServiceError("a listing needs a name, a type and a position for every object")
        beyond = (self.ra_deg < 0) | (self.ra_deg > 360) | (np.abs(self.dec_deg) > 90)
        if beyond.any():
            raise ServiceError("a listed position lies outside the sky")

    def __len__(self) -> int:
        return len(self.names)

    def only(self, chosen: NDArray[np.intp]) -> Listing:
        """The objects at these places of the list, in this order."""
        return replace(
            self,
            names=tuple(self.names[i] for i in chosen),
            types=tuple(self.types[i] for i in chosen),
            ra_deg=self.ra_deg[chosen],
            dec_deg=self.dec_deg[chosen],
        )

    def as_json(self) -> str:
        """The objects as JSON: name, type, ra, dec of each."""
        rows = zip(self.names, self.types, self.ra_deg, self.dec_deg, strict=True)
        return json.dumps([[n, t, round(float(a), 9), round(float(d), 9)] for n, t, a, d in rows])

    @classmethod
    def from_json(cls, text: str, gap: str = "") -> Self:
        """What `as_json` wrote."""
        rows = json.loads(text)
        return cls(
            tuple(row[0] for row in rows),
            tuple(row[1] for row in rows),
            np.array([row[2] for row in rows], dtype=np.float64),
            np.array([row[3] for row in rows], dtype=np.float64),
            gap,
        )


NOTHING = Listing((), (), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Sighting:
    """What a service listed around a place: the near objects, and how many there are far around.

    `near` holds every object within `near_arcsec` of the place unless its gap says otherwise;
    `wide_objects` counts those within `wide_arcsec`. `covered` is False where the service may never
    have looked. `doubt` says why absence cannot be read from it, empty = it can.
    """

    ra_deg: float
    dec_deg: float
    near_arcsec: float
    wide_arcsec: float
    near: Listing
    wide_objects: int
    covered: bool
    doubt: str = ""
    asked_at: datetime | None = None
    cone_id: str | None = None


def sight(listing: Listing, wide: Cone, near_arcsec: float, *, whole_sky: bool) -> Sighting:
    """Measure what was listed for the cone `wide`.

    A catalogue of the whole sky covers every place. One with a footprint covers a place only where
    objects lie in each of the four quarters (NE, NW, SE, SW) of the wide cone: a survey that went
    there sees many in that area, and at its edge one side stays empty. Absence outside the
    footprint proves nothing.
    """
    separation = separations_arcsec(listing, wide)
    inside = separation <= wide.radius_arcsec
    near = np.flatnonzero(separation <= near_arcsec)
    return Sighting(
        wide.ra_deg,
        wide.dec_deg,
        near_arcsec,
        wide.radius_arcsec,
        listing.only(near[np.argsort(separation[near], kind="stable")]),
        int(inside.sum()),
        whole_sky or _on_all_sides(listing, wide, inside),
        listing.gap or _doubt(separation, wide),
    )


def answer_from(sighting: Sighting, cone: Cone, service: str) -> CatalogueAnswer:
    """Measure separations, keep what is inside, and claim absence only where it is proven."""
    separation = separations_arcsec(sighting.near, cone)
    inside = np.flatnonzero(separation <= cone.radius_arcsec)
    found = sighting.near
    matches = tuple(
        CatalogueMatch(
            found.names[i],
            found.types[i],
            float(found.ra_deg[i]) % 360,
            float(found.dec_deg[i]),
            float(separation[i]),
        )
        for i in inside[np.argsort(separation[inside], kind="stable")]
    )
    state, cause, reason = _judge(bool(matches), sighting)
    return CatalogueAnswer(
        service, state, reason, matches, cone.ra_deg, cone.dec_deg, cone.radius_arcsec, cause,
        sighting.wide_arcsec, sighting.wide_objects, sighting.asked_at, sighting.cone_id,
    )  # fmt: skip


def separations_arcsec(listing: Listing, cone: Cone) -> NDArray[np.float64]:
    """Angular distance of every listed object from the cone's centre; NaN without a position."""
    if not len(listing):
        return np.empty(0)
    centre = SkyCoord(cone.ra_deg, cone.dec_deg, unit=units.deg)
    listed = SkyCoord(listing.ra_deg, listing.dec_deg, unit=units.deg)
    return np.asarray(centre.separation(listed).arcsec, dtype=np.float64)


def _doubt(separation: NDArray[np.float64], wide: Cone) -> str:
    if np.isnan(separation).any():
        return "an object was listed without a position"
    if (separation > wide.radius_arcsec + ROUNDING_ARCSEC).any():
        # A service that lists objects elsewhere did not answer the question put to it.
        return "the objects listed lie outside the radius that was asked"
    return ""


def _on_all_sides(listing: Listing, wide: Cone, inside: NDArray[np.bool_]) -> bool:
    north = listing.dec_deg[inside] > wide.dec_deg
    east = (listing.ra_deg[inside] - wide.ra_deg + 180) % 360 > 180
    return len(set(zip(north.tolist(), east.tolist(), strict=True))) == 4


def _judge(matched: bool, sighting: Sighting) -> tuple[AnswerState, Cause, str]:
    if matched:
        return "match", "", sighting.doubt
    if sighting.doubt:
        return "not_determined", "trouble", sighting.doubt
    if not sighting.covered:
        seen = f"{sighting.wide_objects} objects within {sighting.wide_arcsec:g} arcsec"
        reason = f"outside its coverage or at the edge: {seen}, not on all sides"
        return "not_determined", "outside_coverage", reason
    return "no_match", "", ""
