"""Writing images: FITS with named extensions and PNG, never half a file."""

from __future__ import annotations

import io
import os
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from engine.errors import FrameError

CardValue = str | int | float | bool | None


def write_fits(
    path: Path,
    images: Mapping[str, NDArray[Any]],
    *,
    header: str = "",
    cards: Mapping[str, CardValue] | None = None,
) -> None:
    """Write `images` as FITS extensions of those names, in their order.

    `header` is FITS header text, as in Frame.header; it becomes the primary header, and its
    celestial WCS is repeated in every extension. `cards` are added to the primary header. Boolean
    arrays are stored as uint8. The file appears under its name only when it is complete.

    Raises FrameError when there is nothing to write, OSError when the folder cannot be written.
    """
    if not images:
        raise FrameError("nothing to write: give at least one image")
    primary = fits.PrimaryHDU(header=fits.Header.fromstring(header))
    for keyword, value in (cards or {}).items():
        primary.header[keyword] = value
    wcs_cards = _wcs_cards(header)
    units = [primary]
    for name, image in images.items():
        stored = image.astype(np.uint8) if image.dtype == np.bool_ else image
        units.append(fits.ImageHDU(stored, header=wcs_cards.copy(), name=name))
    stream = io.BytesIO()
    fits.HDUList(units).writeto(stream, output_verify="silentfix")
    write_whole(path, stream.getvalue())


def write_png(path: Path | None, pixels: NDArray[Any], bits: int) -> bytes:
    """Encode pixels of shape (H, W) or (3, H, W) as PNG, and write them unless `path` is None.

    Values are rounded and held to the range [0, 2^bits - 1] of `bits`, 8 or 16. Returns the file's
    bytes. Raises FrameError on other shapes and depths or pixels that are not finite, OSError when
    the folder cannot be written.
    """
    if bits not in (8, 16):
        raise FrameError(f"PNG holds 8 or 16 bits, got {bits}: choose one of them")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[0] != 3):
        raise FrameError(f"PNG needs shape (H, W) or (3, H, W), got {pixels.shape}: choose a plane")
    if not np.isfinite(pixels).all():
        raise FrameError("PNG holds finite pixels only: fill the masked ones first")
    levels = np.rint(np.clip(pixels, 0, 2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    interleaved = levels if levels.ndim == 2 else np.moveaxis(levels, 0, -1)
    content = bytes(imagecodecs.png_encode(np.ascontiguousarray(interleaved)))
    if path is not None:
        write_whole(path, content)
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or complete, even after a crash.

    Raises OSError when the folder cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when the block ends well.

    Raises OSError when the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with unfinished.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _wcs_cards(header: str) -> fits.Header:
    """The cards of the celestial WCS alone, none where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(fits.Header.fromstring(header)).celestial
            return wcs.to_header(relax=True) if wcs.has_celestial else fits.Header()
        except (ValueError, TypeError, KeyError, MemoryError):
            return fits.Header()
