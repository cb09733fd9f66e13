"""Asking what is already known: SIMBAD, NED, VizieR and SkyBoT, with answers of three values."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.catalogues import ned, simbad, skybot, vizier
from jobs.catalogues.answer import CatalogueAnswer, CatalogueMatch, Cone, KnownState, known_state
from jobs.catalogues.catalogue import Catalogue, without_date
from jobs.errors import SettingsError
from jobs.services import Services, Terms
from jobs.settings import Settings

__all__ = [
    "Catalogue",
    "CatalogueAnswer",
    "CatalogueMatch",
    "KnownState",
    "catalogues",
    "cross_match",
    "known_state",
    "terms",
]

QUERIES_PER_SECOND = 5.0
LARGEST_ANSWER = 16 * 2**20


def catalogues(settings: Settings, services: Services | None = None) -> tuple[Catalogue, ...]:
    """The catalogues to ask, in the order of the setting `catalogue_services`.

    `services` are those of the process, so that rate and circuit breaker are shared by all who ask
    the same host. Raises SettingsError for a service or a table that does not exist.
    """
    shared = services or Services()
    found: list[Catalogue] = []
    for name, limits in terms(settings).items():
        service = shared.open(limits)
        match name:
            case "simbad":
                found.append(simbad.catalogue(service, settings.catalogue_batch))
            case "ned":
                found.append(ned.catalogue(service))
            case "skybot":
                found.append(skybot.catalogue(service))
            case _:
                found += [
                    vizier.catalogue(service, table, settings.catalogue_batch)
                    for table in settings.vizier_catalogues
                ]
    return tuple(found)


def terms(settings: Settings) -> dict[str, Terms]:
    """On which terms each configured service is asked: at most 5 questions a second."""
    addresses = {
        "simbad": settings.simbad_url,
        "ned": settings.ned_url,
        "vizier": vizier.tap_address(settings.vizier_url),
        "skybot": settings.skybot_url,
    }
    unknown = [name for name in settings.catalogue_services if name not in addresses]
    if unknown:
        raise SettingsError(
            f"no catalogue service {unknown[0]!r}: catalogue_services names some of "
            f"{', '.join(addresses)}"
        )
    return {
        name: Terms(
            f"catalogue {name}",
            addresses[name],
            per_second=QUERIES_PER_SECOND,
            timeout_s=settings.catalogue_timeout_s,
            failures_to_open=3,
            max_bytes=LARGEST_ANSWER,
        )
        for name in dict.fromkeys(settings.catalogue_services)
    }


def cross_match(
    catalogues: Sequence[Catalogue],
    ra_deg: float,
    dec_deg: float,
    radius_arcsec: float,
    mjd: float | None = None,
) -> tuple[CatalogueAnswer, ...]:
    """Ask about one place, all at once, so that one that hangs costs no more than its timeout.

    Without a date (`mjd`) the question is about what does not move, and catalogues of what moves
    are left out. Raises UsageError for a place or a radius that cannot be.
    """
    cone = Cone(ra_deg, dec_deg, radius_arcsec, mjd)
    asked = [each for each in catalogues if not without_date(each, cone)]
    if not asked:
        return ()
    with ThreadPoolExecutor(len(asked), thread_name_prefix="catalogue") as pool:
        answers = [
            pool.submit(each.cone, cone.ra_deg, cone.dec_deg, cone.radius_arcsec, cone.mjd)
            for each in asked
        ]
        return tuple(future.result() for future in answers)
