"""How well cleaning restores what was there: every fill on the same masked pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from engine.cosmicrays.choices import FILLS as FILL_NAMES
from engine.cosmicrays.choices import FillName
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


def _named(name: FillName) -> Fill:
    return partial(inpaint, fill=name)


FILLS: dict[str, Fill] = {
    **{name: _named(cast(FillName, name)) for name in FILL_NAMES},
    "linear": linear_fill,
}


def fill_errors(
    frames: Sequence[LabelledFrame], fills: Mapping[str, Fill] = FILLS
) -> dict[str, dict[str, float]]:
    """Error of each fill on the true masks, against the frames as they were before the hits.

    Of masked pixels that are not ignored, error = filled - clean, in units of the pixel's noise
    sqrt(clean + read noise^2): "pixel_error_sigma" its median size, "pixel_mean_error_sigma" its
    mean size, "pixel_bias_sigma" its mean; "pixel_error_share" the sum of sizes over the sum of
    the clean flux. Of hits, the error summed over the hit's pixels: "flux_error_sigma" its median
    size over the noise of the sum, "flux_error_share" its mean size as a share of the charge that
    the hit had brought, at most 1.
    """
    return {name: _errors(fill, frames) for name, fill in fills.items()}


def _errors(fill: Fill, frames: Sequence[LabelledFrame]) -> dict[str, float]:
    measured = [_frame_errors(fill, one) for one in frames]
    error, noise, clean, hit_sigma, hit_share = (
        np.concatenate(one) for one in zip(*measured, strict=True)
    )
    return {
        "pixel_error_sigma": float(np.median(np.abs(error / noise))),
        "pixel_mean_error_sigma": float(np.mean(np.abs(error / noise))),
        "pixel_bias_sigma": float(np.mean(error / noise)),
        "pixel_error_share": float(np.abs(error).sum() / np.abs(clean).sum()),
        "flux_error_sigma": float(np.median(hit_sigma)),
        "flux_error_share": float(np.mean(hit_share)),
    }


def _frame_errors(fill: Fill, frame: LabelledFrame) -> tuple[NDArray[np.floating], ...]:
    error = fill(frame.pixels, frame.truth) - frame.clean
    variance = np.maximum(frame.clean, 0) + frame.read_noise_e**2
    groups, count = ndimage.label(frame.truth, structure=EIGHT_NEIGHBOURS)
    hits = np.arange(1, count + 1)
    left = np.abs(ndimage.sum(error, groups, hits))
    brought = np.maximum(ndimage.sum(frame.pixels - frame.clean, groups, hits), 1.0)
    scored = frame.truth & ~frame.ignore
    return (
        error[scored],
        np.sqrt(variance)[scored],
        frame.clean[scored],
        left / np.sqrt(ndimage.sum(variance, groups, hits)),
        np.minimum(left / brought, 1.0),
    )
