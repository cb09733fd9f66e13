"""FITS images and cubes: stored samples to pixels, planes and chips to frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.errors import EmptyFrame, FrameError
from engine.frame import Frame, Origin
from engine.reading.context import centred, header_text, merged_header, observed, unit_of
from engine.reading.reading import IgnoredPart

CHIP_INSTRUMENTS = ("WFPC2", "WFPC")
CHIP_WCS_CARDS = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
OFFSET_TYPES = {(8, -128): "int8", (16, 2**15): "uint16", (32, 2**31): "uint32"}
NO_FINITE_PIXEL = "no finite pixel"

Samples = NDArray[np.floating[Any]]


def image_frames(
    unit: Any,
    units: fits.HDUList,
    part: str,
    origin: Origin,
    plane: int | Literal["stack"] | None,
) -> Iterator[Frame | IgnoredPart]:
    """Yield the frames of one image unit, and what of it was left out.

    Raises FrameError when `plane` does not exist.
    """
    header = merged_header(unit.header, units[0].header)
    unit_name, sample_type = unit_of(header.get("BUNIT")), sample_type_of(unit.header)
    planes = np.reshape(unit.data, (-1, *unit.shape[-2:]))
    count = len(planes)
    for label, raw, own_header in _chosen(planes, part, header, units, plane):
        pixels = physical(raw, unit.header)
        yield frame_or_reason(pixels, label, origin, own_header, unit_name, sample_type)
    if count > 1 and plane is None and not _is_chip_stack(header, count):
        left_out = f"{part}[1/{count}]" if count == 2 else f"{part}[1-{count - 1}/{count}]"
        yield IgnoredPart(left_out, "other planes of the cube: choose one, or their stack")


def _chosen(
    planes: NDArray[Any],
    part: str,
    header: fits.Header,
    units: fits.HDUList,
    plane: int | Literal["stack"] | None,
) -> Iterator[tuple[str, NDArray[Any], fits.Header]]:
    """The planes to read, each with its name and header."""
    count = len(planes)
    if count == 1:
        yield part, planes[0], header
    elif plane == "stack":
        yield f"{part}[median of {count}]", planes, header
    elif plane is None and _is_chip_stack(header, count):
        for chip in range(count):
            yield f"{part}[{chip}/{count}]", planes[chip], _chip_header(header, units, chip, count)
    else:
        number = checked_plane(plane or 0, count, part)
        yield f"{part}[{number}/{count}]", planes[number], header


def checked_plane(plane: int, count: int, part: str) -> int:
    """The plane's number. Raises FrameError when there is no such plane."""
    if not 0 <= plane < count:
        raise FrameError(f"{part} has planes 0 to {count - 1}, got {plane}: choose one of them")
    return plane


def physical(raw: NDArray[Any], header: fits.Header) -> Samples:
    """Stored samples as BZERO + BSCALE * stored, with BLANK as NaN; the median of a stack."""
    scale, zero = float(header.get("BSCALE", 1.0)), float(header.get("BZERO", 0.0))
    scaled = (scale, zero) != (1.0, 0.0)
    exact_in_float32 = raw.dtype.itemsize <= 2 or raw.dtype.kind == "f"
    values: Samples = raw.astype(np.float64 if scaled or not exact_in_float32 else np.float32)
    if raw.dtype.kind in "iu" and "BLANK" in header:
        values[raw == int(header["BLANK"])] = np.nan
    if scaled:
        values *= scale
        values += zero
    return values if values.ndim == 2 else median_of(values)


def median_of(stack: Samples) -> Samples:
    """The median along the first axis over what is finite; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle: Samples = np.nanmedian(np.where(np.isfinite(stack), stack, np.nan), axis=0)
    return middle


def sample_type_of(header: fits.Header) -> str:
    """The numpy name of the samples as stored, unsigned where BZERO says so."""
    bits = int(header["BITPIX"])
    if bits < 0:
        return f"float{-bits}"
    shifted = OFFSET_TYPES.get((bits, int(float(header.get("BZERO", 0)))))
    if shifted and float(header.get("BSCALE", 1.0)) == 1.0:
        return shifted
    return "uint8" if bits == 8 else f"int{bits}"


def frame_or_reason(
    pixels: Samples, part: str, origin: Origin, header: fits.Header, unit: str, sample_type: str
) -> Frame | IgnoredPart:
    """A frame with all that its header states, or the reason why there is none."""
    stated = replace(observed(origin, header), part=part)
    try:
        with np.errstate(over="ignore"):
            frame = Frame.of(
                pixels, stated, unit=unit, sample_type=sample_type, header=header_text(header)
            )
    except EmptyFrame:
        return IgnoredPart(part, NO_FINITE_PIXEL)
    return centred(frame)


def _is_chip_stack(header: fits.Header, count: int) -> bool:
    """Whether the planes are chips of a mosaic camera: neighbouring pieces of sky, not a cube."""
    return str(header.get("INSTRUME", "")).strip() in CHIP_INSTRUMENTS and count <= 4


def _chip_header(header: fits.Header, units: fits.HDUList, chip: int, count: int) -> fits.Header:
    """The header with the chip's own WCS from the file's table of group parameters.

    Without that table only the first chip keeps the WCS, since it describes that one alone.
    """
    own = header.copy()
    for unit in units[1:]:
        names = [] if unit.is_image else unit.columns.names
        if set(CHIP_WCS_CARDS) <= set(names) and len(unit.data) == count:
            own.update({card: float(unit.data[card][chip]) for card in CHIP_WCS_CARDS})
            return own
    if chip > 0:
        for card in ("CTYPE1", "CTYPE2", *CHIP_WCS_CARDS):
            own.remove(card, ignore_missing=True)
    return own
