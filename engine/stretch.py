"""Stretching pixels for the eye, and pictures of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from astropy import visualization
from numpy.typing import NDArray

from engine.errors import FrameError
from engine.frame import Mask, Pixels
from engine.writing import write_png

Method = Literal["zscale", "asinh", "sqrt", "log", "percentile", "linear"]
Palette = Literal["cividis", "viridis"]

INTERVALS = {
    "zscale": visualization.ZScaleInterval(),
    "asinh": visualization.AsymmetricPercentileInterval(1.0, 99.8),
    "sqrt": visualization.AsymmetricPercentileInterval(1.0, 99.8),
    "log": visualization.AsymmetricPercentileInterval(1.0, 99.8),
    "percentile": visualization.AsymmetricPercentileInterval(1.0, 99.0),
    "linear": visualization.MinMaxInterval(),
}
CURVES = {
    "asinh": visualization.AsinhStretch(0.1),
    "sqrt": visualization.SqrtStretch(),
    "log": visualization.LogStretch(1000.0),
}

# Ten even steps of cividis (Nunez, Anderton & Renslow 2018) and viridis, as RGB.
PALETTES: dict[Palette, str] = {
    "cividis": "00204d 00336f 39486b 575c6d 707173 8a8779 a69d75 c4b56c e4cf5b ffea46",
    "viridis": "440154 482878 3e4a89 31688e 26828e 1f9e89 35b779 6dcd59 b4de2c fde725",
}
UNKNOWN_LEVEL = 255


def stretch(
    pixels: Pixels,
    mask: Mask | None = None,
    method: Method = "zscale",
    *,
    like: Pixels | None = None,
) -> Pixels:
    """Map pixels to [0, 1] for display; float32, same shape, bad pixels 0.

    `pixels` is (H, W) or (C, H, W), the limits are shared by all planes so that colours stay;
    `mask` is bool (H, W), True = bad. "zscale" is IRAF's algorithm, "asinh", "sqrt" and "log" bend
    the range between the percentiles 1 and 99.8, "percentile" is linear from 1 to 99, "linear"
    from minimum to maximum. The limits are those of `like` where it is given, so that two versions
    of an image can be compared. An image of one value becomes 0. Raises ValueError on another
    method.
    """
    if method not in INTERVALS:
        raise ValueError(f"no stretch {method!r}: choose from {', '.join(INTERVALS)}")
    good = np.isfinite(pixels)
    if mask is not None:
        good = good & ~mask
    shown: Pixels = np.zeros(pixels.shape, dtype=np.float32)
    if not good.any():
        return shown
    measured = pixels[good] if like is None else like[np.isfinite(like)]
    low, high = INTERVALS[method].get_limits(measured.astype(np.float64))
    if not high > low:
        return shown
    scaled = np.clip((pixels[good].astype(np.float64) - low) / (high - low), 0.0, 1.0)
    shown[good] = CURVES[method](scaled) if method in CURVES else scaled
    return shown


def preview_png(
    pixels: Pixels,
    mask: Mask | None = None,
    *,
    method: Method | None = None,
    like: Pixels | None = None,
    max_side: int = 512,
) -> bytes:
    """Encode a small picture of the pixels, (H, W) or (3, H, W), as 8-bit PNG.

    Larger images are reduced by averaging blocks of good pixels. `method` is a stretch; by default
    "zscale" for grey and "linear" for colour; its limits are taken from `like`, of the same shape,
    where that is given. Raises FrameError on other shapes.
    """
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[0] != 3):
        raise FrameError(
            f"a preview needs shape (H, W) or (3, H, W), got {pixels.shape}: choose a plane"
        )
    small = _small(pixels, mask, max_side)
    chosen: Method = method or ("zscale" if pixels.ndim == 2 else "linear")
    measured = None if like is None else _small(like, mask, max_side)
    return write_png(None, 255.0 * stretch(small, method=chosen, like=measured), bits=8)


def _small(pixels: Pixels, mask: Mask | None, max_side: int) -> Pixels:
    bad = ~np.isfinite(pixels) if mask is None else ~np.isfinite(pixels) | mask
    return reduced(np.where(bad, np.float32(np.nan), pixels), max_side)


def map_png(
    values: Pixels, *, low: float, high: float, palette: Palette = "cividis", max_side: int = 512
) -> bytes:
    """Encode a map (H, W), such as probabilities, as PNG in colours that colour-blind eyes order.

    `low` and `high` are the values of the palette's ends, so that maps can be compared; values
    beyond them take the end's colour, NaN is white. Raises ValueError when `high` is not above
    `low`, FrameError on other shapes.
    """
    if not high > low:
        raise ValueError(f"high must be above low, got {low} and {high}")
    if values.ndim != 2:
        raise FrameError(f"a map needs shape (H, W), got {values.shape}: choose a plane")
    small = reduced(values, max_side)
    position = np.clip((small.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    steps = _palette_steps(palette)
    at = np.linspace(0.0, 1.0, len(steps))
    colours = np.stack([np.interp(position, at, steps[:, channel]) for channel in range(3)])
    return write_png(None, np.where(np.isfinite(small), colours, UNKNOWN_LEVEL), bits=8)


def reduced(pixels: Pixels, max_side: int) -> Pixels:
    """Average square blocks, over what is finite, until no side exceeds `max_side`."""
    height, width = pixels.shape[-2:]
    factor = -(-max(height, width) // max_side)
    if factor <= 1:
        return pixels
    padding = [(0, 0)] * (pixels.ndim - 2) + [(0, -height % factor), (0, -width % factor)]
    padded = np.pad(pixels.astype(np.float64), padding, constant_values=np.nan)
    rows, columns = padded.shape[-2] // factor, padded.shape[-1] // factor
    blocks = padded.reshape(*pixels.shape[:-2], rows, factor, columns, factor)
    good = np.isfinite(blocks)
    count = good.sum(axis=(-3, -1))
    total = np.where(good, blocks, 0.0).sum(axis=(-3, -1))
    small: Pixels = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return small


def _palette_steps(palette: Palette) -> NDArray[np.uint8]:
    codes = bytes.fromhex(PALETTES[palette])
    return np.frombuffer(codes, dtype=np.uint8).reshape(-1, 3)
