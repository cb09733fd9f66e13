"""Addresses of a place in SIMBAD, NED and Aladin: links for people, never fetched by a page."""

from __future__ import annotations

from urllib.parse import quote, urlencode

DEFAULT_ARCSEC = 5.0
FIELD_DEG = 0.05


def addresses(ra_deg: float, dec_deg: float, radius_arcsec: float | None) -> dict[str, str]:
    """Where each of them shows this place (ICRS degrees), with the radius of the search."""
    radius = radius_arcsec or DEFAULT_ARCSEC
    place = f"{ra_deg:.6f} {dec_deg:+.6f}"
    simbad = {"Coord": place, "CooFrame": "ICRS", "Radius": f"{radius:g}", "Radius.unit": "arcsec"}
    ned = {
        "search_type": "Near Position Search",
        "in_csys": "Equatorial",
        "in_equinox": "J2000",
        "ra": f"{ra_deg:.6f}d",
        "dec": f"{dec_deg:+.6f}d",
        "radius": f"{radius / 60:.4f}",
    }
    aladin = {"target": place, "fov": f"{FIELD_DEG:g}"}
    return {
        "simbad": f"https://simbad.cds.unistra.fr/simbad/sim-coo?{_query(simbad)}",
        "ned": f"https://ned.ipac.caltech.edu/conesearch?{_query(ned)}",
        "aladin": f"https://aladin.cds.unistra.fr/AladinLite/?{_query(aladin)}",
    }


def _query(fields: dict[str, str]) -> str:
    return urlencode(fields, quote_via=quote)
