"""Which files are images: by name for listings, by first bytes for reading."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

FITS_SUFFIXES = (".fits", ".fit", ".fts")
PICTURE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
PACKINGS = (".gz", ".fz")

Format = Literal["fits", "gzip", "picture"]

SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"SIMPLE  =", "fits"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG\r\n\x1a\n", "picture"),
    (b"II*\x00", "picture"),
    (b"MM\x00*", "picture"),
    (b"\xff\xd8\xff", "picture"),
)


def image_suffix(path: Path) -> str | None:
    """The suffix, in lower case, that makes `path` the name of an image file; None otherwise.

    Knows .fits .fit .fts, each also with .gz or .fz behind it, .png, .tif .tiff and .jpg .jpeg.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not suffixes or path.name.startswith("."):
        return None
    last = suffixes[-1]
    if last in FITS_SUFFIXES or last in PICTURE_SUFFIXES:
        return last
    if last in PACKINGS and len(suffixes) > 1 and suffixes[-2] in FITS_SUFFIXES:
        return suffixes[-2] + last
    return None


def format_of(first_bytes: bytes) -> Format | None:
    """The format that a file's first bytes announce, None when it is no image."""
    for signature, name in SIGNATURES:
        if first_bytes.startswith(signature):
            return name
    return None
