"""A catalogue: something that can be asked what lies around places, one by one or many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from jobs.catalogues.answer import CatalogueAnswer, Cone, not_determined
from jobs.catalogues.listing import Listing, Sighting, answer_from, sight
from jobs.errors import ServiceError

Coverage = Literal["whole_sky", "footprint", "moving"]
SHRINK = 0.25
SHRINKS = 3
WIDE_FACTOR = 4.0


class Catalogue(Protocol):
    """What the cross-match asks."""

    @property
    def service(self) -> str:
        """The name that answers carry."""
        ...

    @property
    def title(self) -> str:
        """The name that people read."""
        ...

    @property
    def coverage(self) -> Coverage:
        """Whether it covers the sky, only a footprint, or what moves (and needs a date)."""
        ...

    @property
    def url(self) -> str:
        """Where it is asked."""
        ...

    @property
    def batch(self) -> int:
        """How many cones one question may hold."""
        ...

    @property
    def wide_arcsec(self) -> float:
        """How far around a place objects are counted, for their density and the coverage."""
        ...

    def sightings(self, cones: Sequence[Cone], near_arcsec: Sequence[float]) -> list[Sighting]:
        """Ask about all the places at once; `near_arcsec` is what must be listed around each.

        Raises ServiceError when the question as a whole found no answer.
        """
        ...

    def cone(
        self, ra_deg: float, dec_deg: float, radius_arcsec: float, mjd: float | None = None
    ) -> CatalogueAnswer:
        """Ask what lies in one cone. Trouble at the service is an answer, not an error.

        Raises UsageError for a place or a radius that cannot be.
        """
        ...


@dataclass(frozen=True)
class RemoteCatalogue:
    """A catalogue behind HTTP; `ask` puts one question about some cones and reads the answer."""

    service: str
    title: str
    coverage: Coverage
    url: str
    ask: Callable[[Sequence[Cone]], list[Listing]]
    batch: int = 1
    wide_arcsec: float = 60.0

    def sightings(self, cones: Sequence[Cone], near_arcsec: Sequence[float]) -> list[Sighting]:
        """Ask for wide cones; where a crowded one was cut, ask for a narrower one."""
        wide = [
            Cone(c.ra_deg, c.dec_deg, self._wide(near), c.mjd)
            for c, near in zip(cones, near_arcsec, strict=True)
        ]
        listed = self._listed(wide)
        for at, near in enumerate(near_arcsec):
            for _ in range(SHRINKS):
                if not listed[at].gap or wide[at].radius_arcsec <= near:
                    break
                narrower = max(near, wide[at].radius_arcsec * SHRINK)
                wide[at] = Cone(wide[at].ra_deg, wide[at].dec_deg, narrower, wide[at].mjd)
                (listed[at],) = self.ask([wide[at]])
        whole_sky = self.coverage != "footprint"
        return [
            sight(each, cone, near, whole_sky=whole_sky)
            for each, cone, near in zip(listed, wide, near_arcsec, strict=True)
        ]

    def cone(
        self, ra_deg: float, dec_deg: float, radius_arcsec: float, mjd: float | None = None
    ) -> CatalogueAnswer:
        """Ask the service; what fails, is late or cannot be read is not determined."""
        cone = Cone(ra_deg, dec_deg, radius_arcsec, mjd)
        if without_date(self, cone):
            return not_determined(self.service, cone, "no_date", NO_DATE)
        try:
            (sighting,) = self.sightings([cone], [radius_arcsec])
        except ServiceError as error:
            return not_determined(self.service, cone, "trouble", str(error))
        return answer_from(sighting, cone, self.service)

    def _wide(self, near_arcsec: float) -> float:
        return min(max(self.wide_arcsec, WIDE_FACTOR * near_arcsec), 3600.0)

    def _listed(self, cones: Sequence[Cone]) -> list[Listing]:
        """One question; an answer that was cut short for many cones is asked for in halves."""
        listed = self.ask(cones)
        if len(cones) == 1 or not any(each.gap for each in listed):
            return listed
        half = len(cones) // 2
        return [*self._listed(cones[:half]), *self._listed(cones[half:])]


NO_DATE = "its image has no date, and what moves is somewhere else each hour"


def without_date(catalogue: Catalogue, cone: Cone) -> bool:
    """Whether this catalogue cannot be asked because nobody knows when the place was seen."""
    return catalogue.coverage == "moving" and cone.mjd is None
