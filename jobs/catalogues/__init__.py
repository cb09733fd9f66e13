"""Asking what is already known: SIMBAD, NED and VizieR, with answers of three values."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.catalogues import ned, simbad, vizier
from jobs.catalogues.answer import CatalogueAnswer, CatalogueMatch, Cone, KnownState, known_state
from jobs.catalogues.catalogue import Catalogue
from jobs.catalogues.transport import Transport
from jobs.settings import Settings

__all__ = [
    "Catalogue",
    "CatalogueAnswer",
    "CatalogueMatch",
    "KnownState",
    "catalogues",
    "cross_match",
    "known_state",
]


def catalogues(settings: Settings) -> tuple[Catalogue, ...]:
    """The services to ask, each with its own limit on how often; make them once and keep them."""
    timeout_s = settings.catalogue_timeout_s
    return (
        simbad.catalogue(settings.simbad_url, Transport(timeout_s)),
        ned.catalogue(settings.ned_url, Transport(timeout_s)),
        vizier.catalogue(settings.vizier_url, settings.vizier_catalogue, Transport(timeout_s)),
    )


def cross_match(
    catalogues: Sequence[Catalogue], ra_deg: float, dec_deg: float, radius_arcsec: float
) -> tuple[CatalogueAnswer, ...]:
    """Ask all of them at once, so that one that hangs costs no more than its own timeout.

    Raises UsageError for a place or a radius that cannot be.
    """
    cone = Cone(ra_deg, dec_deg, radius_arcsec)
    if not catalogues:
        return ()
    with ThreadPoolExecutor(len(catalogues), thread_name_prefix="catalogue") as pool:
        asked = [
            pool.submit(each.cone, cone.ra_deg, cone.dec_deg, cone.radius_arcsec)
            for each in catalogues
        ]
        return tuple(future.result() for future in asked)
