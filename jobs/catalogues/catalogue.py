"""A catalogue: something that can be asked what lies in a cone, and never fails aloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jobs.catalogues.answer import CatalogueAnswer, Cone
from jobs.catalogues.listing import Listing, answer_from
from jobs.catalogues.transport import Question, Transport
from jobs.errors import ServiceError


class Catalogue(Protocol):
    """What the cross-match asks."""

    @property
    def service(self) -> str:
        """The name that answers carry."""

    def cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> CatalogueAnswer:
        """Ask what lies in the cone. Trouble at the service is an answer, not an error.

        Raises UsageError for a place or a radius that cannot be.
        """


@dataclass(frozen=True)
class RemoteCatalogue:
    """A catalogue behind HTTP: how it is asked, and how its answer is read."""

    service: str
    question: Callable[[Cone], Question]
    listing: Callable[[bytes], Listing]
    transport: Transport

    def cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> CatalogueAnswer:
        """Ask the service; what fails, is late or cannot be read is not determined."""
        cone = Cone(ra_deg, dec_deg, radius_arcsec)
        try:
            listing = self.listing(self.transport.ask(self.question(cone)))
        except ServiceError as error:
            return CatalogueAnswer(
                self.service, "not_determined", str(error), (), ra_deg, dec_deg, radius_arcsec
            )
        return answer_from(listing, cone, self.service)
