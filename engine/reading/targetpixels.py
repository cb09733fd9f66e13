"""Target-pixel tables (Kepler, K2, TESS): a series of small images, one a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.frame import Frame, Origin
from engine.reading.context import merged_header, unit_of
from engine.reading.images import checked_plane, frame_or_reason, median_of
from engine.reading.reading import IgnoredPart


def has_pixel_series(unit: Any) -> bool:
    """Whether a unit is a table with a FLUX column of images."""
    if not isinstance(unit, fits.BinTableHDU) or isinstance(unit, fits.CompImageHDU):
        return False
    if "FLUX" not in unit.columns.names:
        return False
    return len(unit.columns.dtype["FLUX"].shape) == 2


def target_pixel_frame(
    unit: Any,
    units: fits.HDUList,
    part: str,
    origin: Origin,
    plane: int | Literal["stack"] | None,
) -> Iterator[Frame | IgnoredPart]:
    """Yield one frame: one cadence, or the median of those with QUALITY 0.

    Raises FrameError when there is no cadence `plane`.
    """
    series = np.asarray(unit.data["FLUX"], dtype=np.float64)
    header = _header(unit, units, series.shape[1:])
    flux_unit = unit_of(unit.columns["FLUX"].unit)
    sample_type = unit.columns.dtype["FLUX"].base.newbyteorder("=").name
    count = len(series)
    if isinstance(plane, int):
        number = checked_plane(plane, count, part)
        label, pixels = f"{part}.FLUX[{number}/{count}]", series[number]
    else:
        good = _good_cadences(unit, count)
        if not good.any():
            yield IgnoredPart(part, "no finite pixel in a cadence with QUALITY 0")
            return
        label = f"{part}.FLUX[median of {int(good.sum())}/{count}]"
        pixels = median_of(series[good])
    yield frame_or_reason(pixels, label, origin, header, flux_unit, sample_type)


def _good_cadences(unit: Any, count: int) -> NDArray[np.bool_]:
    if "QUALITY" not in unit.columns.names:
        return np.ones(count, dtype=np.bool_)
    good: NDArray[np.bool_] = np.asarray(unit.data["QUALITY"]) == 0
    return good


def _header(unit: Any, units: fits.HDUList, shape: tuple[int, ...]) -> fits.Header:
    """The table's cards, with the WCS of the aperture image, which has the same pixels."""
    facts = merged_header(unit.header, units[0].header)
    for other in units[1:]:
        if other.is_image and other.name.strip() == "APERTURE" and other.shape == shape:
            return merged_header(other.header, facts)
    return facts
