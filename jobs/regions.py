"""Places on the sky as a region file of SAOImage DS9."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COLOURS = {"match": "green", "no_match": "red", "not_determined": "yellow", "not_asked": "white"}
LEAST_ARCSEC = 1.0
HEAD = """# Region file format: DS9 version 4.1
global color=white font="helvetica 10 normal roman" select=1 edit=1 move=1 delete=1
icrs
"""


def ds9_regions(rows: Iterable[Mapping[str, Any]]) -> str:
    """A circle for each row (`ra_deg`, `dec_deg`, `radius_arcsec`, `state`, names), by state.

    Green: known, red: unknown, yellow: not determined, white: not asked. Names go between braces,
    so that braces in them become brackets.
    """
    return HEAD + "".join(_circle(row) for row in rows)


def _circle(row: Mapping[str, Any]) -> str:
    radius = max(row["radius_arcsec"] or 0.0, LEAST_ARCSEC)
    name = str(row["object_id"] or row["frame_digest"][:12])
    text = " ".join(name.translate(str.maketrans("{}", "[]")).split())
    return (
        f'circle({row["ra_deg"]:.7f},{row["dec_deg"]:+.7f},{radius:.2f}") '
        f"# color={COLOURS[row['state']]} text={{{text} {row['detection_id'][:8]}}}\n"
    )
