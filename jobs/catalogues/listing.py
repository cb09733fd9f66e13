"""The objects a service listed, and what they say about the cone that was asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from jobs.catalogues.answer import AnswerState, CatalogueAnswer, CatalogueMatch, Cone
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


NOTHING = Listing((), (), np.empty(0), np.empty(0))


def answer_from(listing: Listing, cone: Cone, service: str) -> CatalogueAnswer:
    """Measure separations, keep what is inside, and claim absence only where it is proven."""
    separation = separations_arcsec(listing, cone)
    inside = np.flatnonzero(separation <= cone.radius_arcsec)
    matches = tuple(
        CatalogueMatch(
            listing.names[i],
            listing.types[i],
            float(listing.ra_deg[i]) % 360,
            float(listing.dec_deg[i]),
            float(separation[i]),
        )
        for i in inside[np.argsort(separation[inside], kind="stable")]
    )
    state, reason = _judge(bool(matches), separation, cone, listing.gap)
    return CatalogueAnswer(
        service, state, reason, matches, cone.ra_deg, cone.dec_deg, cone.radius_arcsec
    )


def separations_arcsec(listing: Listing, cone: Cone) -> NDArray[np.float64]:
    """Angular distance of every listed object from the cone's centre; NaN without a position."""
    centre = SkyCoord(cone.ra_deg, cone.dec_deg, unit=units.deg)
    listed = SkyCoord(listing.ra_deg, listing.dec_deg, unit=units.deg)
    return np.asarray(centre.separation(listed).arcsec, dtype=np.float64)


def _judge(
    matched: bool, separation: NDArray[np.float64], cone: Cone, gap: str
) -> tuple[AnswerState, str]:
    if matched:
        return "match", gap
    if gap:
        return "not_determined", gap
    if np.isnan(separation).any():
        return "not_determined", "an object was listed without a position"
    if (separation > cone.radius_arcsec + ROUNDING_ARCSEC).any():
        # A service that lists only objects elsewhere did not answer the question put to it.
        return "not_determined", "the objects listed all lie outside the radius that was asked"
    return "no_match", ""
