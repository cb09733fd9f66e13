"""What a catalogue answered: a match, no match, or nothing that can be relied on."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobs.errors import UsageError

AnswerState = Literal["match", "no_match", "not_determined"]
KnownState = Literal["known", "unknown", "not_determined"]
Cause = Literal["", "trouble", "outside_coverage", "no_date"]
"""Why an answer is not determined: trouble passes and is asked again, the others stay."""


@dataclass(frozen=True)
class Cone:
    """A place on the sky and how far around it to look; refuses what cannot be asked.

    `mjd` (UTC, days) is when it was seen, for services that list what moves; None = no date.
    """

    ra_deg: float
    dec_deg: float
    radius_arcsec: float
    mjd: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.ra_deg < 360:
            raise UsageError(f"right ascension must be in [0, 360) degrees, not {self.ra_deg}")
        if not -90 <= self.dec_deg <= 90:
            raise UsageError(f"declination must be in [-90, 90] degrees, not {self.dec_deg}")
        if not 0 < self.radius_arcsec <= 3600:
            raise UsageError(
                f"the radius must be above 0 and at most 3600 arcsec, not {self.radius_arcsec}"
            )
        if self.mjd is not None and not math.isfinite(self.mjd):
            raise UsageError(f"the date must be a number of days (MJD), not {self.mjd}")


@dataclass(frozen=True)
class CatalogueMatch:
    """An object of a catalogue inside the cone that was asked."""

    object_name: str
    object_type: str
    ra_deg: float
    dec_deg: float
    separation_arcsec: float

    def __post_init__(self) -> None:
        on_sky = 0 <= self.ra_deg < 360 and -90 <= self.dec_deg <= 90
        if not on_sky or not math.isfinite(self.separation_arcsec) or self.separation_arcsec < 0:
            raise ValueError(f"a match needs a place on the sky and a separation, not {self}")


@dataclass(frozen=True)
class CatalogueAnswer:
    """One service's answer to one cone; matches are sorted by separation.

    `wide_objects` objects lie within `wide_arcsec` of the place (None where they were not counted);
    `asked_at` is when the service was asked, None = just now; `cone_id` names what it listed.
    """

    service: str
    state: AnswerState
    reason: str
    matches: tuple[CatalogueMatch, ...]
    ra_deg: float
    dec_deg: float
    radius_arcsec: float
    cause: Cause = ""
    wide_arcsec: float | None = None
    wide_objects: int | None = None
    asked_at: datetime | None = None
    cone_id: str | None = None

    def __post_init__(self) -> None:
        if (self.state == "match") != bool(self.matches):
            raise ValueError(f"state {self.state!r} does not go with {len(self.matches)} matches")
        if self.state == "not_determined" and not (self.reason and self.cause):
            raise ValueError("an answer that is not determined needs its reason and its cause")
        separations = [match.separation_arcsec for match in self.matches]
        if separations != sorted(separations) or any(s > self.radius_arcsec for s in separations):
            raise ValueError("matches must be sorted by separation and lie inside the radius")

    @property
    def nearest(self) -> CatalogueMatch | None:
        """The match closest to the place asked about, if there is one."""
        return self.matches[0] if self.matches else None

    @property
    def chance(self) -> float | None:
        """The probability that an unrelated object lies as near as the nearest match, if known."""
        if self.nearest is None or self.wide_objects is None or self.wide_arcsec is None:
            return None
        return chance_coincidence(
            self.nearest.separation_arcsec, self.wide_objects, self.wide_arcsec
        )


def chance_coincidence(separation_arcsec: float, objects: int, wide_arcsec: float) -> float:
    """Probability of at least one unrelated object within `separation_arcsec`.

    1 - exp(-pi r^2 rho) for objects strewn at random (Poisson), with the local density
    rho = objects / (pi wide_arcsec^2); as in Downes et al. 1986 (MNRAS 218, 31), equation 1,
    without its magnitudes. The match itself is counted in, so that the probability is never
    understated and never 0 for a match that has any separation.
    """
    return -math.expm1(-objects * (separation_arcsec / wide_arcsec) ** 2)


def not_determined(service: str, cone: Cone, cause: Cause, reason: str) -> CatalogueAnswer:
    """The answer where nothing can be relied on, and why."""
    return CatalogueAnswer(
        service, "not_determined", reason, (), cone.ra_deg, cone.dec_deg, cone.radius_arcsec, cause
    )


def known_state(answers: Collection[CatalogueAnswer]) -> KnownState:
    """Known if any service has a match; unknown only if every one of them answered no match."""
    states = {answer.state for answer in answers}
    if "match" in states:
        return "known"
    return "unknown" if states == {"no_match"} else "not_determined"
