"""What tells an artefact from an object: morphology and a few profiles, in units of the noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.anomalies.artefacts import surroundings
from engine.anomalies.artefacts.surroundings import surroundings_table
from engine.anomalies.cutouts import Cutout
from engine.frame import Frame, Mask, Pixels

Table = NDArray[np.float64]

OWN_NAMES = (
    "log_area", "log_snr", "log_peak", "elongation", "upright", "peak_share", "nine_share",
    "column_share", "row_share", "box_fill", "ellipse_fill", "sharpness", "boundary_step",
    "centre_over_ring", "flatness", "asymmetry", "concentration", "gini", "edge_widths",
    "good_share",
    "frame_top", "plateau", "hit_share", "hit_pixels", "width", "width_over_frame", "length",
    "spread_over_length", "deepest", "sky_scatter", "line_middle", "line_low", "column_middle",
    "row_middle", "holes", "raw_over_clean",
)  # fmt: skip
NAMES = (*OWN_NAMES, *surroundings.NAMES)
LINE_POINTS = 256
TINY = 1e-9


def feature_table(
    frame: Frame, image: Pixels, raw: Pixels, cutouts: Sequence[Cutout], hits: Mask | None
) -> Table:
    """Features float64 (N, 55) of the sources on one frame, one row a cutout, all finite.

    `image` (H, W) is what the sources were found on, `raw` the frame as it came, `hits` the
    cosmic-ray pixels where they are known. Widths are compared with the frame's own stellar width,
    the lower quintile of its sources. Raises ValueError for whole images.
    """
    if not cutouts:
        return np.empty((0, len(NAMES)))
    if any(cutout.footprint is None for cutout in cutouts):
        raise ValueError("artefact features need sources with footprints, got a whole image")
    level = float(np.median([cutout.level for cutout in cutouts]))
    noise = max(float(np.median([cutout.noise for cutout in cutouts])), TINY)
    light = (np.where(frame.mask, level, image) - level) / noise
    smooth = ndimage.gaussian_filter(light, 1.0)
    top = max(float(np.max(light)), 1.0)
    none = np.zeros(frame.mask.shape, np.bool_) if hits is None else hits
    rows = np.array([_row(cutout, smooth, raw, top, none) for cutout in cutouts])
    width = NAMES.index("width")
    stellar = max(float(np.quantile(rows[:, width], 0.2)), 0.3)
    rows[:, NAMES.index("width_over_frame")] = rows[:, width] / stellar
    rows = np.hstack([rows, surroundings_table(light, ~frame.mask, cutouts)])
    return np.asarray(np.nan_to_num(rows, nan=0.0, posinf=1e6, neginf=-1e6), dtype=np.float64)


def _row(cutout: Cutout, smooth: Table, raw: Pixels, top: float, hits: Mask) -> list[float]:
    own = cutout.footprint
    assert own is not None  # noqa: S101  checked by the caller
    noise = max(cutout.noise, TINY)
    pixels = cutout.pixels if cutout.pixels.ndim == 2 else cutout.pixels.mean(axis=0)
    light = (pixels.astype(np.float64) - cutout.level) / noise
    inside = np.where(own, np.maximum(light, 0.0), 0.0)
    total = max(float(inside.sum()), TINY)
    area = max(int(own.sum()), 1)
    centre, angle, length, width = _axes(inside)
    box = ndimage.find_objects(own.astype(np.int32))
    high, wide = (s.stop - s.start for s in box[0]) if box and box[0] else (1, 1)
    values = np.sort(light[own]) if own.any() else np.zeros(1)
    peak = max(float(values[-1]), TINY)
    ring, middle = _ring_and_middle(light, centre, length, width)
    edge = own & ~ndimage.binary_erosion(own)
    outside = light[~ndimage.binary_dilation(own, iterations=2)]
    struck, raw_flux, clean_flux = _hits(cutout, own, light, raw, hits)
    line = _along(smooth, cutout.x, cutout.y, angle)
    upright = _along(smooth, cutout.x, cutout.y, np.pi / 2)
    level = _along(smooth, cutout.x, cutout.y, 0.0)
    turned = inside[::-1, ::-1]
    nine = float(ndimage.uniform_filter(inside, 3).max() * 9)
    return [
        np.log10(area),
        np.log10(max(cutout.snr or TINY, TINY)),
        np.log10(peak),
        min(length / max(width, 0.2), 50.0),
        float(np.cos(2 * (angle - np.pi / 2))),
        peak / total,
        nine / total,
        float(inside.sum(axis=0).max()) / total,
        float(inside.sum(axis=1).max()) / total,
        area / max(high * wide, 1),
        area / max(4 * np.pi * length * width, 1.0),
        float(np.abs(ndimage.laplace(inside)).max()) / peak,
        float(light[edge].mean()) / max(float(values.mean()), TINY) if edge.any() else 1.0,
        middle / (ring if abs(ring) > TINY else TINY) if ring > 0 else 1.0,
        float(np.median(values)) / max(float(np.quantile(values, 0.95)), TINY),
        float(np.abs(inside - turned).sum()) / (2 * total),
        _concentration(inside, centre),
        _gini(values),
        (cutout.edge_px or 0.0) / max(width, 0.5),
        cutout.good_share,
        peak / top,
        float((values >= 0.95 * peak).mean()),
        cutout.cosmic_ray_share or 0.0,
        struck,
        width,
        0.0,
        length,
        width / max(length, 0.2),
        float(ndimage.gaussian_filter(light, 1.0).min()),
        float(outside.std()) if outside.size > 8 else 0.0,
        *line,
        upright[0],
        level[0],
        float((ndimage.binary_fill_holes(own) & ~own).sum()) / area,
        float(np.log((raw_flux + 1) / (clean_flux + 1))),
    ]


def _axes(inside: Table) -> tuple[tuple[float, float], float, float, float]:
    """Centre (y, x), angle of the long axis, and the light's deviation along and across it."""
    total = max(float(inside.sum()), TINY)
    y, x = np.indices(inside.shape, dtype=np.float64)
    cy, cx = float((inside * y).sum() / total), float((inside * x).sum() / total)
    xx = float((inside * (x - cx) ** 2).sum() / total) + 1 / 12
    yy = float((inside * (y - cy) ** 2).sum() / total) + 1 / 12
    xy = float((inside * (x - cx) * (y - cy)).sum() / total)
    root = np.hypot((xx - yy) / 2, xy)
    length, width = (np.sqrt(max((xx + yy) / 2 + sign * root, 1e-3)) for sign in (1, -1))
    return (cy, cx), float(0.5 * np.arctan2(2 * xy, xx - yy)), float(length), float(width)


def _ring_and_middle(
    light: Table, centre: tuple[float, float], length: float, width: float
) -> tuple[float, float]:
    """Mean light between 0.8 and 1.8 deviations from the centre, and within 0.5 of them."""
    y, x = np.indices(light.shape, dtype=np.float64)
    radius = np.hypot(y - centre[0], x - centre[1]) / max(np.sqrt(length * width), 0.7)
    middle, ring = radius < 0.5, (radius > 0.8) & (radius < 1.8)
    at = float(light[middle].mean()) if middle.any() else float(light.max())
    return (float(light[ring].mean()) if ring.any() else at), at


def _along(smooth: Table, x: float, y: float, angle: float) -> tuple[float, float]:
    """Median and lower quartile of the smoothed light on a line across the whole frame."""
    reach = float(np.hypot(*smooth.shape))
    steps = np.linspace(-reach, reach, 2 * LINE_POINTS)
    columns = np.rint(x + steps * np.cos(angle)).astype(np.int64)
    rows = np.rint(y + steps * np.sin(angle)).astype(np.int64)
    there = (columns >= 0) & (columns < smooth.shape[1]) & (rows >= 0) & (rows < smooth.shape[0])
    values = smooth[rows[there], columns[there]]
    if values.size == 0:
        return 0.0, 0.0
    return float(np.median(values)), float(np.quantile(values, 0.25))


def _hits(
    cutout: Cutout, own: Mask, light: Table, raw: Pixels, hits: Mask
) -> tuple[float, float, float]:
    """Share of the footprint on hits, and the footprint's light on the raw and this frame."""
    y0, x0 = round(cutout.y) - own.shape[0] // 2, round(cutout.x) - own.shape[1] // 2
    rows, columns = np.nonzero(own)
    rows, columns = rows + y0, columns + x0
    there = (rows >= 0) & (rows < hits.shape[0]) & (columns >= 0) & (columns < hits.shape[1])
    rows, columns = rows[there], columns[there]
    if rows.size == 0:
        return 0.0, 0.0, 0.0
    before = (raw[rows, columns] - cutout.level) / max(cutout.noise, TINY)
    return (
        float(hits[rows, columns].mean()),
        max(float(np.nansum(before)), 0.0),
        max(float(light[own].sum()), 0.0),
    )


def _concentration(inside: Table, centre: tuple[float, float]) -> float:
    y, x = np.indices(inside.shape, dtype=np.float64)
    radius = np.hypot(y - centre[0], x - centre[1]).ravel()
    order = np.argsort(radius, kind="stable")
    growth = np.cumsum(inside.ravel()[order]) / max(float(inside.sum()), TINY)
    inner = radius[order][min(int((growth < 0.2).sum()), radius.size - 1)]
    outer = radius[order][min(int((growth < 0.8).sum()), radius.size - 1)]
    return float(np.log10((outer + 0.5) / (inner + 0.5)))


def _gini(ascending: Table) -> float:
    values = np.sort(np.abs(ascending))
    count = values.size
    if count < 2:
        return 0.0
    weights = 2 * np.arange(1, count + 1) - count - 1
    return float((weights @ values) / (max(float(values.mean()), TINY) * count * (count - 1)))
