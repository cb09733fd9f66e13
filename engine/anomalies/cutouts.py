"""Cutouts: what of a frame is judged, as one stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.anomalies.detection import (
    MIN_SNR,
    Source,
    SourceMap,
    estimate_background,
    find_sources,
)
from engine.anomalies.policy import DEFAULT_LIMIT, CutoutMode
from engine.errors import NotApplicable
from engine.frame import Frame, Mask, Pixels
from engine.results import CosmicRayResult

MIN_FRAME_PX = 16
PICTURE_SIDE_PX = 512
EXTENT_FACTOR = 1.8
MIN_CUTOUT_PX = 24
MAX_CUTOUT_PX = 256
LINE_ELONGATION = 8.0
LINE_LENGTH_SHARE = 0.4
VANISHED_SHARE = 0.25
MOST_RAW_SOURCES = 1000


@dataclass(frozen=True)
class PlaneScale:
    """Background level and its standard deviation of each plane of a cutout, both float64 (C,)."""

    level: NDArray[np.float64]
    noise: NDArray[np.float64]


@dataclass(frozen=True)
class Cutout:
    """One square (or whole image) to be judged.

    `pixels` float32 (S, S), (C, S, S) or the whole image, in the frame's unit, bad pixels and what
    lies beyond the edge filled with background. `level` and `noise` are the background and its
    standard deviation, `peak` the highest value above the background; `stretched` is True for 8-bit
    pictures, `is_line` for a straight line across much of the frame (a satellite's trail, a bad
    column). `footprint` bool (S, S) are the source's own pixels, `edge_px` the distance of its
    centre from the frame's nearest edge, `good_share` the share of the cutout that is neither
    masked nor beyond the edge. `vanishes` is True for a source of the raw frame that is not there
    once cosmic rays are removed. `planes` scales the planes of a source on several planes. The
    other fields are as in `Detection`.
    """

    kind: str
    x: float
    y: float
    size_px: int
    pixels: Pixels
    level: float
    noise: float
    peak: float
    stretched: bool
    is_line: bool = False
    flux: float | None = None
    snr: float | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    cosmic_ray_share: float | None = None
    footprint: Mask | None = None
    area_px: int | None = None
    elongation: float | None = None
    edge_px: float | None = None
    good_share: float = 1.0
    vanishes: bool = False
    planes: PlaneScale | None = None


def areas_of(cutouts: Sequence[Cutout]) -> NDArray[np.float64]:
    """Areas of the sources in px, float64 (N,); NaN for whole images."""
    return np.array([np.nan if c.area_px is None else c.area_px for c in cutouts], np.float64)


def resolve_mode(frame: Frame, mode: CutoutMode) -> CutoutMode:
    """Decide "auto": pictures are judged whole, everything else by its sources.

    A picture has three planes or 8-bit samples, and a smaller side of at most 512 px.
    """
    if mode != "auto":
        return mode
    small = min(frame.height, frame.width) <= PICTURE_SIDE_PX
    return "image" if small and (frame.planes == 3 or frame.sample_bits == 8) else "sources"


def cutouts_of(
    frame: Frame,
    *,
    mode: CutoutMode = "auto",
    limit: int = DEFAULT_LIMIT,
    cosmic_rays: CosmicRayResult | None = None,
    vanished: int = 0,
) -> tuple[Cutout, ...]:
    """The cutouts of a frame, sources by falling signal to noise.

    With `cosmic_rays`, sources are found and cut on its cleaned pixels and each carries the share
    of its positive flux that lies on cosmic-ray pixels; behind them come at most `vanished` sources
    of the raw frame, the brightest ones, that are not there on the cleaned one (at most a quarter
    of their light and less than the least signal to noise is left). A source on several planes is
    one source, found where the planes together rise above their noise. Raises NotApplicable below
    16 px a side.
    """
    if min(frame.height, frame.width) < MIN_FRAME_PX:
        raise NotApplicable(
            f"anomaly cutouts need at least {MIN_FRAME_PX} px a side, "
            f"got {frame.height} x {frame.width}"
        )
    if resolve_mode(frame, mode) == "image":
        return (whole_image(frame),)
    raw = frame.filled()
    clean = raw if cosmic_rays is None else cosmic_rays.cleaned
    clean = np.where(np.isfinite(clean), clean, raw).astype(np.float32)
    cutouts = _source_cutouts(frame, clean, raw, limit, cosmic_rays)
    if cosmic_rays is None or vanished == 0:
        return cutouts
    return cutouts + _vanished_cutouts(frame, clean, raw, vanished, cosmic_rays)


def whole_image(frame: Frame) -> Cutout:
    """The frame as one cutout; an 8-bit picture counts as stretched already.

    Its level and peak are the 1 % and 99.9 % quantiles, its noise the median deviation.
    """
    pixels = frame.filled()
    good = pixels[..., ~frame.mask]
    x, y = (frame.width - 1) / 2, (frame.height - 1) / 2
    ra_deg, dec_deg = _position(frame, x, y)
    level, middle, top = (float(q) for q in np.quantile(good, (0.01, 0.5, 0.999)))
    return Cutout(
        kind="image",
        x=x,
        y=y,
        size_px=max(frame.height, frame.width),
        pixels=pixels,
        level=level,
        noise=1.4826 * float(np.median(np.abs(good - middle))),
        peak=top - level,
        stretched=frame.sample_bits == 8,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
    )


def square(image: Pixels, level: Pixels | float, place: Place, bad: Mask | None = None) -> Pixels:
    """The pixels of `image` (H, W) at `place`; `level` beyond the edge and on `bad` pixels.

    `level` is one value or the background float32 (H, W), whose nearest edge value then fills
    what lies outside.
    """
    usable = place.inside if bad is None else place.inside & ~bad[place.nearest]
    fill = level if isinstance(level, float) else level[place.nearest]
    return np.where(usable, image[place.nearest], fill).astype(np.float32)


@dataclass(frozen=True)
class Place:
    """A square of a frame: the `nearest` frame pixel of each of its own, and which are `inside`."""

    nearest: tuple[NDArray[np.intp], ...]
    inside: Mask

    @classmethod
    def about(cls, x: float, y: float, size_px: int, shape: tuple[int, int]) -> Place:
        """The square of side `size_px` about (x, y) of a frame of `shape`, pixel scale kept."""
        y0, x0 = round(y) - size_px // 2, round(x) - size_px // 2
        rows, columns = np.arange(y0, y0 + size_px), np.arange(x0, x0 + size_px)
        near = np.ix_(np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1))
        inside = np.logical_and.outer(
            (rows >= 0) & (rows < shape[0]), (columns >= 0) & (columns < shape[1])
        )
        return cls(near, inside)


def _source_cutouts(
    frame: Frame, image: Pixels, raw: Pixels, limit: int, cosmic_rays: CosmicRayResult | None
) -> tuple[Cutout, ...]:
    """Cut the sources of `image`; the light on hits is measured on `raw`, of the same shape."""
    plane, planes = _detection_plane(image, frame.mask)
    found = find_sources(plane, frame.mask, limit=limit)
    boxes = ndimage.find_objects(found.segments)
    return tuple(
        _cutout(frame, image, raw, found, source, planes, boxes[source.label - 1], cosmic_rays)
        for source in found.sources
    )


def _cutout(
    frame: Frame,
    image: Pixels,
    raw: Pixels,
    found: SourceMap,
    source: Source,
    planes: PlaneScale | None,
    box: tuple[slice, ...],
    cosmic_rays: CosmicRayResult | None,
) -> Cutout:
    size_px = cutout_side(source)
    x, y = source.x, source.y
    place = Place.about(x, y, size_px, frame.mask.shape)
    stack = image if image.ndim == 3 else image[None]
    levels: list[Pixels | float] = [found.background.level]
    if planes is not None:
        levels = [float(level) for level in planes.level]
    cut = np.stack(
        [square(part, level, place, frame.mask) for part, level in zip(stack, levels, strict=True)]
    )
    footprint = place.inside & (found.segments[place.nearest] == source.label)
    good = place.inside & ~frame.mask[place.nearest]
    within = found.segments[box] == source.label
    ra_deg, dec_deg = _position(frame, x, y)
    level = float(found.background.level[round(y), round(x)])
    noise, peak, flux = found.background.noise, source.peak, source.flux
    if planes is not None:
        level, noise = float(planes.level.mean()), float(planes.noise.mean())
        flux = float((_plane(image[:, box[0], box[1]]) - level)[within].sum())
        peak *= noise
    cutout = Cutout(
        kind="source",
        x=x,
        y=y,
        size_px=size_px,
        pixels=cut[0] if planes is None else cut,
        level=level,
        noise=noise,
        peak=peak,
        stretched=False,
        is_line=is_line(source, frame),
        flux=flux,
        snr=source.snr,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        footprint=footprint,
        area_px=source.area_px,
        elongation=source.elongation,
        edge_px=min(x, y, frame.width - 1 - x, frame.height - 1 - y),
        good_share=float(good.mean()),
        planes=planes,
    )
    if cosmic_rays is None:
        return cutout
    sky = found.background.level[box] if planes is None else 0.0
    raw_light = np.where(within, _plane(raw[..., box[0], box[1]]) - sky, 0.0)
    share = cosmic_ray_share(raw_light, cosmic_rays.mask[box])
    return replace(cutout, cosmic_ray_share=share)


def _vanished_cutouts(
    frame: Frame, clean: Pixels, raw: Pixels, most: int, cosmic_rays: CosmicRayResult
) -> tuple[Cutout, ...]:
    """Sources of the raw frame that are gone on the cleaned one, brightest first."""
    gone: list[Cutout] = []
    for cutout in _source_cutouts(frame, raw, raw, MOST_RAW_SOURCES, cosmic_rays):
        if len(gone) == most:
            break
        left = on_version(cutout, clean, frame.mask)
        flux, snr = left.flux or 0.0, left.snr or 0.0
        if snr < MIN_SNR and flux < VANISHED_SHARE * (cutout.flux or 0.0):
            gone.append(replace(cutout, vanishes=True))
    return tuple(gone)


def on_version(cutout: Cutout, image: Pixels, mask: Mask) -> Cutout:
    """The same place on another version of the frame, `image` (H, W) or (C, H, W).

    Level, noise, size and footprint stay; pixels, peak, flux and signal to noise are the version's.
    Raises ValueError for a whole image.
    """
    if cutout.footprint is None:
        raise ValueError("a whole image has no footprint: score its version as an image of its own")
    planes = image if image.ndim == 3 else image[None]
    scale = cutout.planes
    levels = [cutout.level] if scale is None else [float(level) for level in scale.level]
    place = Place.about(cutout.x, cutout.y, cutout.size_px, mask.shape)
    cut = np.stack(
        [square(plane, level, place, mask) for plane, level in zip(planes, levels, strict=True)]
    )
    cut = np.where(np.isfinite(cut), cut, np.reshape(levels, (-1, 1, 1))).astype(np.float32)
    light = (cut - np.reshape(levels, (-1, 1, 1))).mean(axis=0)[cutout.footprint]
    flux = float(light.sum())
    noise = cutout.noise / np.sqrt(len(planes))
    return replace(
        cutout,
        pixels=cut[0] if scale is None else cut,
        peak=float(light.max(initial=0.0)),
        flux=flux,
        snr=flux / (noise * float(np.sqrt(max(light.size, 1)))),
    )


def _detection_plane(image: Pixels, mask: Mask) -> tuple[Pixels, PlaneScale | None]:
    """The plane that sources are found on: of several, the mean signal to noise times sqrt(C)."""
    if image.ndim == 2 or image.shape[0] == 1:
        return image.reshape(mask.shape), None
    backgrounds = [estimate_background(plane, mask) for plane in image]
    noise = np.array([background.noise for background in backgrounds])
    levels = np.array([float(np.median(background.level)) for background in backgrounds])
    usable = [
        (plane - background.level) / background.noise
        for plane, background in zip(image, backgrounds, strict=True)
        if background.noise > 0
    ]
    if not usable:
        return np.zeros(mask.shape, np.float32), PlaneScale(levels, noise)
    together = np.sum(usable, axis=0) / np.sqrt(len(usable))
    return together.astype(np.float32), PlaneScale(levels, noise)


def cutout_side(source: Source) -> int:
    """Side of a source's cutout: 1.8 times its footprint's larger side, even, in [24, 256] px."""
    side = 2 * round(EXTENT_FACTOR * source.radius_px)
    return min(max(side, MIN_CUTOUT_PX), MAX_CUTOUT_PX)


def is_line(source: Source, frame: Frame) -> bool:
    """Whether a source is at least 8 times as long as wide and 0.4 of the frame's smaller side."""
    long = 2 * source.radius_px >= LINE_LENGTH_SHARE * min(frame.height, frame.width)
    return long and source.elongation >= LINE_ELONGATION


def cosmic_ray_share(light: Pixels, hits: Mask) -> float:
    """Share of the positive light that lies on cosmic-ray pixels, in [0, 1] (0 without light)."""
    positive = np.maximum(light, 0.0)
    total = float(positive.sum())
    return float(positive[hits].sum()) / total if total > 0 else 0.0


def _plane(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 2 else pixels.mean(axis=0, dtype=np.float32)


def _position(frame: Frame, x: float, y: float) -> tuple[float | None, float | None]:
    if frame.wcs is None:
        return None, None
    ra_deg, dec_deg = (float(angle) for angle in frame.wcs.pixel_to_world_values(x, y))
    if not np.isfinite([ra_deg, dec_deg]).all():
        return None, None
    return ra_deg % 360.0, dec_deg
