"""FITS files of every shape: which parts are frames, and which are not."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from astropy.io import fits

from engine.errors import EmptyFrame, FrameError, UnreadableFile
from engine.frame import Frame, Origin
from engine.reading.images import image_frames
from engine.reading.reading import IgnoredPart, Limits, Reading
from engine.reading.targetpixels import has_pixel_series, target_pixel_frame

Plane = int | Literal["stack"] | None

COMPANIONS = {
    "ERR": "an error array",
    "ERROR": "an error array",
    "SIGMA": "an error array",
    "UNC": "an error array",
    "STDDEV": "an error array",
    "VAR": "a variance array",
    "VARIANCE": "a variance array",
    "IVAR": "an inverse-variance array",
    "WHT": "a weight map",
    "WEIGHT": "a weight map",
    "DQ": "data-quality flags",
    "FLAGS": "data-quality flags",
    "MASK": "a mask",
    "APERTURE": "a mask of the target's pixels",
    "WCSDVARR": "a table of small distortions that the WCS here goes without",
    "D2IMARR": "a table of small distortions that the WCS here goes without",
    "CTX": "a context map",
    "SAMP": "a count of samples",
    "TIME": "integration times",
    "PROB": "a probability map",
    "ENTROPY": "an uncertainty map",
    "MI": "an uncertainty map",
}

CORRUPTION = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    fits.VerifyError,
)


def read_fits(content: bytes, name: str, origin: Origin, limits: Limits, plane: Plane) -> Reading:
    """Read every frame of a FITS file, given as bytes. Raises as read_frames does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(
                io.BytesIO(content), do_not_scale_image_data=True, lazy_load_hdus=False
            ) as units:
                return _read_units(units, len(content), name, origin, limits, plane)
    except CORRUPTION as error:
        raise UnreadableFile(
            f"{name} is a damaged FITS file ({type(error).__name__}: {error}): fetch it again"
        ) from error


def _read_units(
    units: fits.HDUList, size: int, name: str, origin: Origin, limits: Limits, plane: Plane
) -> Reading:
    outcomes: list[Frame | IgnoredPart] = []
    for part, unit in zip(_part_names(units), units, strict=True):
        if unit.is_image and not unit.shape:
            continue
        reason = _not_an_image(unit)
        if reason:
            outcomes.append(IgnoredPart(part, reason))
            continue
        _check_declared(unit, f"{name}[{part}]", size, limits)
        read = target_pixel_frame if has_pixel_series(unit) else image_frames
        outcomes += read(unit, units, part, origin, plane)
    frames = tuple(outcome for outcome in outcomes if isinstance(outcome, Frame))
    ignored = tuple(outcome for outcome in outcomes if isinstance(outcome, IgnoredPart))
    if not frames:
        raise _nothing_found(name, ignored)
    return Reading(frames, ignored)


def _not_an_image(unit: Any) -> str | None:
    """Why a unit is no image, None when it is one."""
    if has_pixel_series(unit):
        return None
    if not unit.is_image:
        return "a table without a series of images (no FLUX column of two dimensions)"
    companion = COMPANIONS.get(unit.name.strip().upper())
    if companion:
        return f"{companion}, not an image of the sky"
    if len(unit.shape) == 1:
        return "one-dimensional"
    return "no pixels" if 0 in unit.shape else None


def _check_declared(unit: Any, where: str, file_bytes: int, limits: Limits) -> None:
    """Refuse what is too large or cut off before anything is allocated for it."""
    if unit.is_image:
        height, width = unit.shape[-2:]
        limits.check_pixels(height * width, where)
        samples = 1
        for length in unit.shape:
            samples *= length
        limits.check_bytes(samples * abs(int(unit.header["BITPIX"])) // 8, where)
    if isinstance(unit, fits.CompImageHDU):
        return
    limits.check_bytes(int(unit.size), where)
    start = int(unit.fileinfo()["datLoc"])
    if start + int(unit.size) > file_bytes:
        raise UnreadableFile(
            f"{where} is cut off: its header declares {int(unit.size):,} bytes of data, "
            f"{max(file_bytes - start, 0):,} are there; fetch it again"
        )


def _part_names(units: fits.HDUList) -> Iterator[str]:
    """A name for each unit that no other has: EXTNAME, with EXTVER or its number if need be."""
    plain = [unit.name.strip() or f"#{index}" for index, unit in enumerate(units)]
    versioned = [f"{name},{unit.ver}" for name, unit in zip(plain, units, strict=True)]
    once, once_versioned = Counter(plain), Counter(versioned)
    for index, (name, version) in enumerate(zip(plain, versioned, strict=True)):
        if once[name] == 1:
            yield name
        elif once_versioned[version] == 1:
            yield version
        else:
            yield f"{name}#{index}"


def _nothing_found(name: str, ignored: tuple[IgnoredPart, ...]) -> FrameError:
    parts = "; ".join(f"{part.part}: {part.reason}" for part in ignored) or "no image in it"
    if any(part.reason.startswith("no finite pixel") for part in ignored):
        return EmptyFrame(f"{name} holds no finite pixel ({parts}): choose another file or plane")
    return UnreadableFile(f"{name} holds no image of the sky ({parts}): choose another file")
