"""NED's near-position search (objsearch, output `xml_main`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jobs.catalogues.answer import Cone
from jobs.catalogues.catalogue import RemoteCatalogue
from jobs.catalogues.listing import NOTHING, Listing
from jobs.catalogues.votable import degrees, find_column, meaning, parameter, read_votable, texts
from jobs.errors import ServiceError
from jobs.services import Service


def catalogue(service: Service) -> RemoteCatalogue:
    """NED's object search (the service's address is .../objsearch)."""
    return RemoteCatalogue("ned", "NED", "whole_sky", service.terms.url, partial(ask, service))


def ask(service: Service, cones: Sequence[Cone]) -> list[Listing]:
    """One question for each cone: NED takes no uploads."""
    return [listing(service.get(service.terms.url, parameters(cone)).content) for cone in cones]


def parameters(cone: Cone) -> dict[str, str]:
    """A search in equatorial J2000 degrees; NED takes its radius in arcminutes."""
    return {
        "search_type": "Near Position Search",
        "of": "xml_main",
        "in_csys": "Equatorial",
        "in_equinox": "J2000.0",
        "lon": f"{cone.ra_deg:.8f}",
        "lat": f"{cone.dec_deg:.8f}",
        "radius": f"{cone.radius_arcsec / 60:.8f}",
        "out_csys": "Equatorial",
        "out_equinox": "J2000.0",
        "obj_sort": "Distance to search center",
        "list_limit": "0",
        "img_stamp": "NO",
        "extend": "no",
    }


def listing(body: bytes) -> Listing:
    """Read NED's answer. It says "no object found" as an error; every other error is one."""
    document = read_votable(body)
    error = parameter(document, "Error")
    if error is not None:
        if error.lower().startswith("no object"):
            return NOTHING
        raise ServiceError(f"the service reported an error: {error or 'no message'}")
    tables = [table for table in document.iter_tables() if table.ID == "NED_MainTable"]
    if len(tables) != 1:
        raise ServiceError(f"one NED_MainTable was expected, the answer holds {len(tables)}")
    ra = find_column(tables[0], meaning("pos.eq.ra"))
    dec = find_column(tables[0], meaning("pos.eq.dec"))
    name = find_column(tables[0], meaning("meta.id;meta.main"))
    if ra is None or dec is None or name is None:
        raise ServiceError("NED_MainTable lacks a name or a position")
    return Listing(
        texts(name, len(ra)),
        texts(find_column(tables[0], meaning("src.class")), len(ra)),
        degrees(ra),
        degrees(dec),
    )
