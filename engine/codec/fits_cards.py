"""Which FITS cards travel with a frame: all of them where they fit, else the essential ones."""

from __future__ import annotations

import re

from engine.codec.container import deflated_text

CARD = 80
BUDGET_SHARE = 1 / 8
ESSENTIAL = re.compile(
    r"(?P<stated>(WCSAXES|RADESYS|EQUINOX|(CTYPE|CRVAL|CRPIX|CUNIT|CDELT|CROTA)\d"
    r"|(CD|PC|PV)\d_\d+|LONPOLE|LATPOLE|(A|B|AP|BP)_(ORDER|\d_\d)|DATE-OBS|MJD(-OBS)?|EXPTIME"
    r"|EXPOSURE|FILTER|INSTRUME|TELESCOP|OBJECT|BUNIT|GAIN|RDNOISE) *= *('([^']|'')*'|[^/']*))"
)


def cards_that_fit(cards: str, unit: str, limit: int) -> tuple[str, bool]:
    """Return the cards to store in `limit` bytes and whether they are fewer than given.

    The cards of position, time and instrument are kept, without their comments, when all do not
    fit, and none when those do not fit either.
    """
    if len(deflated_text(unit, cards)) <= limit:
        return cards, False
    lines = (cards[start : start + CARD] for start in range(0, len(cards), CARD))
    found = (ESSENTIAL.match(line) for line in lines)
    essential = "".join(match["stated"].rstrip().ljust(CARD) for match in found if match)
    if len(deflated_text(unit, essential)) <= limit:
        return essential, True
    return "", True
