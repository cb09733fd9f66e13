"""Target-pixel time series: their stack, how much each pixel varies, and what flared up."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

from engine.errors import UnreadableFile
from engine.frame import Mask, Pixels

Cube = NDArray[np.float64]

SIGMA = 6.0
SEED_SIGMA = 4.0
LEAST_CADENCES, MOST_CADENCES, MOST_SHARE = 2, 24, 0.1
MEDIAN_CADENCES = 49
LEAST_SERIES = 8
MOST_BYTES = 600_000_000
AROUND_PX = 2
EIGHT_AND_NEXT = np.ones((3, 3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class PixelSeries:
    """Small images in time order. `flux` float64 (T, H, W), NaN where unknown; `time` float64 (T,)
    in days as the file counts them, NaN where unknown; `good` bool (T,) cadences of QUALITY 0."""

    flux: Cube = field(repr=False)
    time: NDArray[np.float64] = field(repr=False)
    good: Mask = field(repr=False)


@dataclass(frozen=True)
class Transient:
    """A group of pixels that brightened together for a few cadences.

    `x`, `y` are the excess-weighted centre (0-based), `first_cadence` and `last_cadence` 0-based
    rows of the table, `start_time` in the table's days, `peak_sigma` the highest summed excess over
    the group in one cadence, in standard deviations of that sum.
    """

    x: float
    y: float
    pixels: int
    first_cadence: int
    last_cadence: int
    start_time: float | None
    peak_sigma: float
    reason: str


@dataclass(frozen=True)
class SeriesResult:
    """`stack` is the median of the good cadences and `variability` each pixel's scatter over what
    its own noise explains (1 = quiet), both float32 (H, W) with NaN where nothing is known."""

    stack: Pixels = field(repr=False)
    variability: Pixels = field(repr=False)
    cadences: int
    transients: tuple[Transient, ...]


def read_series(path: Path) -> PixelSeries | None:
    """Read the target-pixel table of a FITS file, None where it has none.

    Raises UnreadableFile when the file is missing or damaged, or holds more than 600 MB of them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as units:  # astropy unpacks gzip itself
                return _series_in(units, path)
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        raise UnreadableFile(
            f"{path} cannot be read as a time series ({type(error).__name__}: {error}): fetch it "
            "again"
        ) from error


def _series_in(units: fits.HDUList, path: Path) -> PixelSeries | None:
    for unit in units:
        if not isinstance(unit, fits.BinTableHDU) or isinstance(unit, fits.CompImageHDU):
            continue
        names = unit.columns.names
        if "FLUX" not in names or len(unit.columns.dtype["FLUX"].shape) != 2:
            continue
        if unit.size > MOST_BYTES:
            raise UnreadableFile(f"{path} holds {unit.size:,} bytes of cadences: cut it first")
        flux = np.asarray(unit.data["FLUX"], dtype=np.float64)
        count = len(flux)
        time = (
            np.asarray(unit.data["TIME"], np.float64) if "TIME" in names else np.full(count, np.nan)
        )
        flags = np.asarray(unit.data["QUALITY"]) if "QUALITY" in names else np.zeros(count)
        return PixelSeries(flux, time, np.asarray(flags == 0, dtype=np.bool_))
    return None


def analyse_series(series: PixelSeries) -> SeriesResult:
    """Stack, variability and transients of a series.

    Each pixel's slow changes, a running median over 49 cadences, are taken away; its noise is the
    median deviation of differences of neighbouring cadences over sqrt(2), so that slow changes do
    not count as noise. Variability is the deviation of the unfiltered pixel over that noise. A
    transient is a group of neighbouring pixels and cadences above 4 sigma that holds for 2 to 24
    cadences (at most a tenth of all) and whose sum reaches 6 sigma in a cadence, over its pixels
    and over all within 2 px of them: light that only moves to the next pixel, as the pointing
    drifts, is not one, nor is a rise of the whole image at once, as stray light makes. Only good
    cadences count.
    """
    rows = np.flatnonzero(series.good & np.isfinite(series.flux).any(axis=(1, 2)))
    flux = series.flux[rows]
    if len(rows) == 0:
        blank = np.full(series.flux.shape[1:], np.nan, dtype=np.float32)
        return SeriesResult(blank, blank, 0, ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        stack = np.nanmedian(flux, axis=0)
        noise = _noise(flux)
        scatter = 1.4826 * np.nanmedian(np.abs(flux - stack), axis=0)
        variability = np.where(noise > 0, scatter / np.where(noise > 0, noise, 1.0), np.nan)
    transients: tuple[Transient, ...] = ()
    if len(rows) >= LEAST_SERIES:
        transients = tuple(_transients(flux, noise, rows, series.time))
    return SeriesResult(
        stack.astype(np.float32), variability.astype(np.float32), len(rows), transients
    )


def _placed(pixels: Mask, box: tuple[slice, ...], shape: tuple[int, ...]) -> Mask:
    """The pixels of a box as a mask of the whole image."""
    whole = np.zeros(shape, dtype=np.bool_)
    whole[box[1:]] = pixels
    return whole


def _summed(sigmas: Cube, noise: Cube, pixels: Mask) -> float:
    """The highest summed excess over `pixels` in a cadence, in deviations of that sum."""
    spread = float(np.sqrt((noise[pixels] ** 2).sum()))
    excess = (sigmas[:, pixels] * noise[pixels]).sum(axis=1)
    return float(excess.max()) / spread if spread > 0 else 0.0


def _noise(flux: Cube) -> Cube:
    """Noise of one cadence in each pixel from differences of neighbouring ones, 0 if unknown."""
    if len(flux) < 3:
        return np.zeros(flux.shape[1:])
    steps = np.diff(flux, axis=0)
    middle = np.nanmedian(steps, axis=0)
    noise = 1.4826 * np.nanmedian(np.abs(steps - middle), axis=0) / np.sqrt(2)
    return np.asarray(np.nan_to_num(noise))


def _transients(
    flux: Cube, noise: Cube, rows: NDArray[np.int64], time: NDArray[np.float64]
) -> Iterator[Transient]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        filled = np.where(np.isfinite(flux), flux, np.nanmedian(flux, axis=0))
    window = min(MEDIAN_CADENCES, len(rows) // 2 * 2 - 1)
    slow = ndimage.median_filter(np.nan_to_num(filled), size=(window, 1, 1), mode="nearest")
    usable = noise > 0
    excess = np.where(usable & np.isfinite(flux), filled - slow, 0.0)
    sigmas = excess / np.where(usable, noise, 1.0)
    common = np.median(sigmas[:, usable], axis=1) if usable.any() else np.zeros(len(rows))
    sigmas = np.where(usable, sigmas - np.maximum(common, 0.0)[:, None, None], 0.0)
    labels, _ = ndimage.label(sigmas > SEED_SIGMA, EIGHT_AND_NEXT)
    most = max(min(MOST_CADENCES, int(MOST_SHARE * len(rows))), LEAST_CADENCES)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        cadences = inside.any(axis=(1, 2))
        held = int(cadences.sum())
        if not LEAST_CADENCES <= held <= most:
            continue
        pixels = inside.any(axis=0)
        peak = _summed(sigmas[box[0]], noise, _placed(pixels, box, noise.shape))
        around = ndimage.binary_dilation(_placed(pixels, box, noise.shape), iterations=AROUND_PX)
        if min(peak, _summed(sigmas[box[0]], noise, around)) < SIGMA:
            continue
        weight = np.where(inside, sigmas[box], 0.0).sum(axis=0)
        y, x = np.indices(weight.shape)
        first = int(rows[box[0].start])
        last = int(rows[box[0].stop - 1])
        start = float(time[first]) if np.isfinite(time[first]) else None
        count = int(pixels.sum())
        yield Transient(
            x=float((x * weight).sum() / weight.sum()) + box[2].start,
            y=float((y * weight).sum() / weight.sum()) + box[1].start,
            pixels=count,
            first_cadence=first,
            last_cadence=last,
            start_time=start,
            peak_sigma=peak,
            reason=f"{count} pixel{'s' * (count > 1)} {peak:.1f} sigma above their noise for "
            f"{held} cadences",
        )
