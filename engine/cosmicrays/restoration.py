"""How well cleaning restores what was there: the median fill beside linear interpolation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from engine.cosmicrays.hits import EIGHT_NEIGHBOURS
from engine.cosmicrays.holdouts import LabelledFrame
from engine.cosmicrays.inpainting import inpaint
from engine.frame import Mask, Pixels

RING_PX = 2

Fill = Callable[[Pixels, Mask], Pixels]


def linear_fill(pixels: Pixels, mask: Mask) -> Pixels:
    """Replace masked pixels by linear interpolation between the good ones within two pixels."""
    ring = ndimage.binary_dilation(mask, EIGHT_NEIGHBOURS, RING_PX) & ~mask
    known, wanted = np.argwhere(ring), np.argwhere(mask)
    values = LinearNDInterpolator(known, pixels[ring])(wanted)
    outside = ~np.isfinite(values)
    if outside.any():
        values[outside] = NearestNDInterpolator(known, pixels[ring])(wanted[outside])
    filled = pixels.copy()
    filled[mask] = values
    return filled


FILLS: dict[str, Fill] = {"median": inpaint, "linear": linear_fill}


def fill_errors(frames: Sequence[LabelledFrame]) -> dict[str, dict[str, float]]:
    """Error of each fill on the true masks, against the frames as they were before the hits.

    "pixel_error_sigma" is the median |filled - clean| in units of the pixel's noise;
    "flux_error_share" the mean over hits of the flux left or taken too much, as a share of the
    charge that the hit had brought, at most 1.
    """
    return {name: _errors(fill, frames) for name, fill in FILLS.items()}


def _errors(fill: Fill, frames: Sequence[LabelledFrame]) -> dict[str, float]:
    pixel_errors, flux_errors = zip(*(_frame_errors(fill, one) for one in frames), strict=True)
    return {
        "pixel_error_sigma": float(np.median(np.concatenate(pixel_errors))),
        "flux_error_share": float(np.mean(np.concatenate(flux_errors))),
    }


def _frame_errors(
    fill: Fill, frame: LabelledFrame
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    error = fill(frame.pixels, frame.truth) - frame.clean
    noise = np.sqrt(np.maximum(frame.clean, 0) + frame.read_noise_e**2)
    groups, count = ndimage.label(frame.truth, structure=EIGHT_NEIGHBOURS)
    hits = np.arange(1, count + 1)
    left = np.abs(ndimage.sum(error, groups, hits))
    brought = np.maximum(ndimage.sum(frame.pixels - frame.clean, groups, hits), 1.0)
    return np.abs(error / noise)[frame.truth], np.minimum(left / brought, 1.0)
