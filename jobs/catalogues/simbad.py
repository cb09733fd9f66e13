"""SIMBAD over TAP: the objects of the literature, `basic` with their type in words."""

from __future__ import annotations

from functools import partial

from jobs.catalogues import tap
from jobs.catalogues.catalogue import RemoteCatalogue
from jobs.services import Service

BASIC = tap.TapTable("basic", name="main_id", kind="otype_txt", ra="ra", dec="dec")


def catalogue(service: Service, batch: int) -> RemoteCatalogue:
    """SIMBAD's TAP service (the service's address is its base, without /sync)."""
    return RemoteCatalogue(
        "simbad",
        "SIMBAD",
        "whole_sky",
        service.terms.base,
        partial(tap.ask, service, BASIC),
        batch=batch,
    )
