"""What a catalogue answered: a match, no match, or nothing that can be relied on."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from jobs.errors import UsageError

AnswerState = Literal["match", "no_match", "not_determined"]
KnownState = Literal["known", "unknown", "not_determined"]


@dataclass(frozen=True)
class Cone:
    """A place on the sky and how far around it to look; refuses what cannot be asked."""

    ra_deg: float
    dec_deg: float
    radius_arcsec: float

    def __post_init__(self) -> None:
        if not 0 <= self.ra_deg < 360:
            raise UsageError(f"right ascension must be in [0, 360) degrees, not {self.ra_deg}")
        if not -90 <= self.dec_deg <= 90:
            raise UsageError(f"declination must be in [-90, 90] degrees, not {self.dec_deg}")
        if not 0 < self.radius_arcsec <= 3600:
            raise UsageError(
                f"the radius must be above 0 and at most 3600 arcsec, not {self.radius_arcsec}"
            )


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
    """One service's answer to one cone; matches are sorted by separation."""

    service: str
    state: AnswerState
    reason: str
    matches: tuple[CatalogueMatch, ...]
    ra_deg: float
    dec_deg: float
    radius_arcsec: float

    def __post_init__(self) -> None:
        if (self.state == "match") != bool(self.matches):
            raise ValueError(f"state {self.state!r} does not go with {len(self.matches)} matches")
        if self.state == "not_determined" and not self.reason:
            raise ValueError("an answer that is not determined needs its reason")
        separations = [match.separation_arcsec for match in self.matches]
        if separations != sorted(separations) or any(s > self.radius_arcsec for s in separations):
            raise ValueError("matches must be sorted by separation and lie inside the radius")

    @property
    def nearest(self) -> CatalogueMatch | None:
        """The match closest to the place asked about, if there is one."""
        return self.matches[0] if self.matches else None


def known_state(answers: Collection[CatalogueAnswer]) -> KnownState:
    """Known if any service has a match; unknown only if every one of them answered no match."""
    states = {answer.state for answer in answers}
    if "match" in states:
        return "known"
    return "unknown" if states == {"no_match"} else "not_determined"
