"""Is a downloaded file whole? Half a picture decodes to grey and would pass for a strange sky."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Literal

from jobs.services.failures import PassingFailure

Kind = Literal["any", "fits", "jpeg", "png", "gif", "picture", "zip", "votable"]

BLOCK = 2880
CARD = 80
PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
GIF_BEGINS, GIF_END = (b"GIF87a", b"GIF89a"), b";"


def check_whole(content: bytes, kind: Kind) -> None:
    """Raise PassingFailure, which says what is wrong, unless `content` is a whole `kind`."""
    fault = CHECKS[kind](content)
    if fault:
        raise PassingFailure(
            f"expected a whole {kind.upper()} file, got {len(content)} bytes that {fault}: "
            f"they begin with {content[:16]!r}"
        )


def fits_fault(content: bytes) -> str:
    """What keeps `content` from being whole FITS: blocks of 2880 bytes, all data that is declared.

    FITS Standard 4.0, section 3: each unit is header blocks up to an END card, then its data,
    |BITPIX| x GCOUNT x (PCOUNT + NAXIS1 x ... x NAXISm) bits, filled up to whole blocks.
    """
    if not content.startswith(b"SIMPLE  ="):
        return "do not begin as FITS"
    at = 0
    while at < len(content):
        header = _fits_header(content, at)
        if header is None:
            return "end inside a header"
        cards, at = header
        at += _data_bytes(cards)
        if at > len(content):
            return f"lack the last {at - len(content)} bytes of data"
    return ""


def jpeg_fault(content: bytes) -> str:
    """What keeps `content` from being a whole JPEG: start and end markers (ISO 10918-1, B.1)."""
    if not content.startswith(JPEG_BEGIN):
        return "do not begin as JPEG"
    return "" if content.rstrip(b"\0\r\n ").endswith(JPEG_END) else "lack JPEG's end marker"


def png_fault(content: bytes) -> str:
    """What keeps `content` from being a whole PNG: signature and IEND chunk."""
    if not content.startswith(PNG_BEGIN):
        return "do not begin as PNG"
    return "" if PNG_END in content[-64:] else "lack PNG's end chunk"


def gif_fault(content: bytes) -> str:
    """What keeps `content` from being a whole GIF: signature and trailer."""
    if not content.startswith(GIF_BEGINS):
        return "do not begin as GIF"
    return "" if content.rstrip(b"\0").endswith(GIF_END) else "lack GIF's trailer"


def picture_fault(content: bytes) -> str:
    """What keeps `content` from being a whole JPEG, PNG or GIF."""
    if content.startswith(PNG_BEGIN):
        return png_fault(content)
    return gif_fault(content) if content.startswith(GIF_BEGINS) else jpeg_fault(content)


def zip_fault(content: bytes) -> str:
    """What keeps `content` from being a whole ZIP: its directory at the end, and each CRC."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            bad = packed.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
        return f"are no whole ZIP file ({error})"
    return f"have a damaged member {bad}" if bad else ""


def votable_fault(content: bytes) -> str:
    """What keeps `content` from being a whole VOTable: its first and last element."""
    if b"<VOTABLE" not in content[:4096]:
        return "do not begin as a VOTable"
    return "" if b"</VOTABLE>" in content[-256:] else "lack the end of the VOTable"


def _nothing(_content: bytes) -> str:
    return ""


CHECKS: Mapping[Kind, Callable[[bytes], str]] = {
    "any": _nothing,
    "fits": fits_fault,
    "jpeg": jpeg_fault,
    "png": png_fault,
    "gif": gif_fault,
    "picture": picture_fault,
    "zip": zip_fault,
    "votable": votable_fault,
}


def _fits_header(content: bytes, at: int) -> tuple[dict[str, str], int] | None:
    """The cards that say how much data follows, and where it begins; None when END is missing."""
    cards: dict[str, str] = {}
    for place in range(at, len(content) - CARD + 1, CARD):
        card = content[place : place + CARD].decode("ascii", "replace")
        keyword = card[:8].rstrip()
        if keyword == "END":
            blocks = -(-(place + CARD - at) // BLOCK)
            after = at + blocks * BLOCK
            return (cards, after) if after <= len(content) else None
        if card[8:10] == "= ":
            cards.setdefault(keyword, card[10:].split("/")[0].strip().strip("'"))
    return None


def _data_bytes(cards: Mapping[str, str]) -> int:
    def number(keyword: str, default: int) -> int:
        value = cards.get(keyword, "")
        return int(value) if value.lstrip("+-").isdigit() else default

    axes = [number(f"NAXIS{axis}", 0) for axis in range(1, number("NAXIS", 0) + 1)]
    if not axes:
        return 0
    grouped = axes[0] == 0 and cards.get("GROUPS") == "T"
    samples = 1
    for length in axes[1:] if grouped else axes:
        samples *= length
    size = abs(number("BITPIX", 8)) // 8 * number("GCOUNT", 1) * (number("PCOUNT", 0) + samples)
    return -(-size // BLOCK) * BLOCK
