"""Which FITS cards travel with a frame: all of them where they fit, else the essential ones."""

from __future__ import annotations

import re

from engine.codec.container import deflated_text

CARD = 80
BUDGET_SHARE = 1 / 16
ESSENTIAL = re.compile(
    r"(WCSAXES|RADESYS|EQUINOX|(CTYPE|CRVAL|CRPIX|CUNIT|CDELT|CROTA)\d|(CD|PC|PV)\d_\d+"
    r"|LONPOLE|LATPOLE|(A|B|AP|BP)_(ORDER|\d_\d)|DATE-OBS|MJD(-OBS)?|EXPTIME|EXPOSURE|FILTER"
    r"|INSTRUME|TELESCOP|OBJECT|BUNIT|GAIN|RDNOISE) *="
)


def cards_that_fit(cards: str, unit: str, limit: int) -> tuple[str, bool]:
    """Return the cards to store in `limit` bytes and whether they are fewer than given.

    The cards of position, time and instrument are kept when all do not fit, and none when those
    do not fit either.
    """
    if len(deflated_text(unit, cards)) <= limit:
        return cards, False
    lines = [cards[start : start + CARD] for start in range(0, len(cards), CARD)]
    essential = "".join(line for line in lines if ESSENTIAL.match(line))
    if len(deflated_text(unit, essential)) <= limit:
        return essential, True
    return "", True
