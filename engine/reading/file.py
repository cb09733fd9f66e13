"""Reading any image file: bounded, by content, with every failure named."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Literal

from engine.errors import UnreadableFile
from engine.frame import Origin
from engine.reading.fitsfile import read_fits
from engine.reading.formats import format_of, image_suffix
from engine.reading.pictures import read_picture
from engine.reading.reading import Limits, Reading

CHUNK_BYTES = 1 << 20


def read_frames(
    path: Path,
    *,
    source: str,
    object_id: str | None = None,
    limits: Limits = Limits(),  # noqa: B008
    plane: int | Literal["stack"] | None = None,
) -> Reading:
    """Read every frame of a FITS, PNG, TIFF or JPEG file.

    `object_id` defaults to the file's name without its suffix. `plane` chooses one plane of a cube
    or one cadence of a target-pixel table by its 0-based number, or "stack" for their median; by
    default it is a cube's first plane and a table's stack. Colour pictures become (3, H, W).

    Raises UnreadableFile when the file is missing, no image, truncated or corrupt, FrameTooLarge
    beyond `limits`, EmptyFrame when no image in it holds a finite pixel, FrameError when `plane`
    does not exist.
    """
    content = _bounded_bytes(path, limits)
    origin = Origin(source=source, object_id=object_id or _stem(path), uri=str(path))
    found = format_of(content)
    if found == "gzip":
        content = _unpacked(content, path, limits)
        found = format_of(content)
    if found == "fits":
        return read_fits(content, path.name, origin, limits, plane)
    if found == "picture":
        return read_picture(content, path.name, origin, limits)
    raise UnreadableFile(
        f"{path.name} is not a FITS, PNG, TIFF or JPEG image: its content begins with "
        f"{content[:12]!r}; check that it was downloaded whole, or convert it"
    )


def _stem(path: Path) -> str:
    suffix = image_suffix(path) or ""
    return path.name[: len(path.name) - len(suffix)]


def _bounded_bytes(path: Path, limits: Limits) -> bytes:
    try:
        limits.check_bytes(path.stat().st_size, path.name)
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"{path} cannot be opened ({error.strerror}): check its name and rights"
        ) from error
    if not content:
        raise UnreadableFile(f"{path.name} is empty: fetch it again")
    return content


def _unpacked(packed: bytes, path: Path, limits: Limits) -> bytes:
    """Unpack gzip, never beyond the limit."""
    parts, size = [], 0
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                size += len(chunk)
                limits.check_bytes(size, f"{path.name}, unpacked,")
                parts.append(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFile(
            f"{path.name} is a broken gzip file ({error}): fetch it again"
        ) from error
    return b"".join(parts)
