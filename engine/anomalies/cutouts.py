"""Cutouts: what of a frame is judged, as one stated rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.anomalies.detection import Source, find_sources
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


@dataclass(frozen=True)
class Cutout:
    """One square (or whole image) to be judged.

    `pixels` float32 (S, S) or (C, H, W) in the frame's unit, bad pixels and what lies beyond the
    edge filled with background. `level` and `noise` are the background and its standard deviation,
    `peak` the highest value above the background; `stretched` is True for 8-bit pictures,
    `is_line` for a straight line across much of the frame (a satellite's trail, a bad column). The
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
) -> tuple[Cutout, ...]:
    """The cutouts of a frame, sources by falling signal to noise.

    With `cosmic_rays`, sources are found and cut on its cleaned pixels and each carries the share
    of its positive flux that lies on cosmic-ray pixels. Raises NotApplicable below 16 px a side.
    """
    if min(frame.height, frame.width) < MIN_FRAME_PX:
        raise NotApplicable(
            f"anomaly cutouts need at least {MIN_FRAME_PX} px a side, "
            f"got {frame.height} x {frame.width}"
        )
    if resolve_mode(frame, mode) == "image":
        return (whole_image(frame),)
    return _source_cutouts(frame, limit, cosmic_rays)


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


def square(image: Pixels, level: Pixels, x: float, y: float, size_px: int) -> Pixels:
    """A square of `image` (H, W) about (x, y), pixel scale kept; beyond the edge the level there.

    `level` float32 (H, W) is the background, whose nearest edge value fills what lies outside.
    """
    y0, x0 = round(y) - size_px // 2, round(x) - size_px // 2
    rows, columns = np.arange(y0, y0 + size_px), np.arange(x0, x0 + size_px)
    near = np.ix_(np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1))
    inside = np.logical_and.outer(
        (rows >= 0) & (rows < image.shape[0]), (columns >= 0) & (columns < image.shape[1])
    )
    return np.where(inside, image[near], level[near]).astype(np.float32)


def _source_cutouts(
    frame: Frame, limit: int, cosmic_rays: CosmicRayResult | None
) -> tuple[Cutout, ...]:
    raw = _plane(frame.filled())
    image = raw if cosmic_rays is None else _plane(cosmic_rays.cleaned)
    image = np.where(np.isfinite(image), image, raw).astype(np.float32)
    found = find_sources(image, frame.mask, limit=limit)
    level = found.background.level
    patched = np.where(frame.mask, level, image).astype(np.float32)
    cutouts = []
    for source in found.sources:
        size_px = cutout_side(source)
        ra_deg, dec_deg = _position(frame, source.x, source.y)
        cutout = Cutout(
            kind="source",
            x=source.x,
            y=source.y,
            size_px=size_px,
            pixels=square(patched, level, source.x, source.y, size_px),
            level=float(level[round(source.y), round(source.x)]),
            noise=found.background.noise,
            peak=source.peak,
            stretched=False,
            is_line=is_line(source, frame),
            flux=source.flux,
            snr=source.snr,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
        )
        if cosmic_rays is not None:
            light = np.where(found.segments == source.label, raw - level, 0.0)
            share = cosmic_ray_share(light, cosmic_rays.mask)
            cutout = replace(cutout, cosmic_ray_share=share)
        cutouts.append(cutout)
    return tuple(cutouts)


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
