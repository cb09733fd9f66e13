"""Sources on a frame: background, threshold, deblending, and a stated selection."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray
from photutils.background import Background2D, MADStdBackgroundRMS, MedianBackground
from photutils.segmentation import (
    SegmentationImage,
    SourceCatalog,
    deblend_sources,
    detect_sources,
)
from scipy import ndimage

from engine.frame import Mask, Pixels

THRESHOLD_SIGMA = 4.0
MIN_AREA_PX = 9
MIN_SNR = 8.0
DEBLEND_LEVELS, DEBLEND_CONTRAST, DEBLEND_AREA_PX = 16, 0.05, 5
BACKGROUND_BOXES, LEAST_BOX_PX, LARGEST_BOX_PX = 8, 32, 128
SMOOTHING_PX = 1.0


@dataclass(frozen=True)
class Background:
    """Smooth background and its noise (a standard deviation), both in the frame's pixel units."""

    level: Pixels
    noise: float


@dataclass(frozen=True)
class Source:
    """One detected source. `x`, `y` 0-based pixel coordinates of the flux-weighted centre, `flux`
    and `peak` in pixel units over the footprint and above the background, `radius_px` half the
    larger side of the footprint, `elongation` its length over its width, `label` its number in the
    segmentation, `area_px` its number of pixels."""

    x: float
    y: float
    flux: float
    snr: float
    peak: float
    radius_px: float
    elongation: float
    label: int
    area_px: int = 0


@dataclass(frozen=True)
class SourceMap:
    """The background, the segmentation (int (H, W), 0 = sky) and the selected sources."""

    background: Background
    segments: NDArray[np.int32]
    sources: tuple[Source, ...]


def estimate_background(image: Pixels, mask: Mask) -> Background:
    """Clipped median in boxes, filtered 3 x 3; noise from the median deviation.

    A box is an eighth of the smaller side, in [32, 128] px. It may be covered by sources up to
    90 %; without any usable box the median of all is taken.
    """
    side = min(max(min(image.shape) // BACKGROUND_BOXES, LEAST_BOX_PX), LARGEST_BOX_PX)
    box = tuple(min(side, length) for length in image.shape)
    try:
        estimated = Background2D(
            image.astype(np.float64),
            box,
            mask=mask,
            exclude_percentile=90,
            bkg_estimator=MedianBackground(),
            bkg_rms_estimator=MADStdBackgroundRMS(),
        )
    except ValueError:
        good = image[~mask].astype(np.float64)
        level = np.full(image.shape, np.median(good), dtype=np.float32)
        return Background(level, float(mad_std(good)))
    level = estimated.background.astype(np.float32)
    return Background(level, float(estimated.background_rms_median))


def find_sources(image: Pixels, mask: Mask, *, limit: int) -> SourceMap:
    """The brightest `limit` sources of `image` float32 (H, W), by signal to noise.

    A source is at least 9 connected pixels 4 sigma above the background in the image smoothed by
    1 px, with a signal to noise of at least 8: snr = flux / (noise sqrt(area)). Sources that touch
    are split over 16 exponential levels where a branch holds 5 % of the light (Bertin & Arnouts
    1996, A&AS 117; watershed by photutils). Pixels True in `mask` take no part. Extended and
    bright sources stay: there is no upper limit on size or flux.
    """
    background = estimate_background(image, mask)
    light = np.where(mask, 0.0, image - background.level).astype(np.float64)
    empty = np.zeros(image.shape, dtype=np.int32)
    if background.noise <= 0:
        return SourceMap(background, empty, ())
    smoothed = ndimage.gaussian_filter(light, SMOOTHING_PX)
    smooth_noise = background.noise / (2 * np.sqrt(np.pi) * SMOOTHING_PX)
    threshold = THRESHOLD_SIGMA * smooth_noise
    found = detect_sources(smoothed, threshold, MIN_AREA_PX, mask=mask)
    if found is None:
        return SourceMap(background, empty, ())
    split = deblended(smoothed, found)
    segments = np.asarray(split.data, np.int32)
    sources = measure(light, split, background.noise)
    chosen = sorted((s for s in sources if s.snr >= MIN_SNR), key=lambda s: (-s.snr, s.label))
    return SourceMap(background, segments, tuple(chosen[:limit]))


def deblended(smoothed: NDArray[np.float64], found: SegmentationImage) -> SegmentationImage:
    """Split the segments of `found` that hold several sources; labels become consecutive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        return deblend_sources(
            smoothed,
            found,
            DEBLEND_AREA_PX,
            n_levels=DEBLEND_LEVELS,
            contrast=DEBLEND_CONTRAST,
            progress_bar=False,
        )


def measure(light: NDArray[np.float64], segments: SegmentationImage, noise: float) -> list[Source]:
    """Position, flux, signal to noise, peak and extent of every labelled segment."""
    catalog = SourceCatalog(light, segments, progress_bar=False)
    boxes = np.atleast_1d(catalog.bbox)
    columns = (
        catalog.labels,
        np.atleast_1d(catalog.x_centroid),
        np.atleast_1d(catalog.y_centroid),
        np.atleast_1d(catalog.segment_flux),
        np.atleast_1d(catalog.max_value),
        np.atleast_1d(catalog.area.value),
        np.atleast_1d(catalog.elongation.value),
    )
    return [
        Source(
            x=float(x),
            y=float(y),
            flux=float(flux),
            snr=float(flux) / (noise * float(np.sqrt(area))),
            peak=float(peak),
            radius_px=max(box.shape) / 2,
            elongation=float(stretch),
            label=int(label),
            area_px=int(area),
        )
        for box, label, x, y, flux, peak, area, stretch in zip(boxes, *columns, strict=True)
        if np.isfinite([x, y, flux, stretch]).all()
    ]
