"""From probabilities to the result that every method returns."""

from __future__ import annotations

import numpy as np

from engine.cosmicrays.choices import FillName
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.maps import EvidenceMaps
from engine.frame import Mask, Pixels
from engine.results import CosmicRayResult


def assembled(
    pixels: Pixels,
    bad: Mask,
    maps: EvidenceMaps,
    *,
    threshold: float,
    samples: int,
    method: str,
    fill: FillName = "median",
) -> CosmicRayResult:
    """Mask, clean and pack. Bad pixels, bool (H, W), get probability and entropies 0.

    `samples` is the number of passes behind the maps.
    """
    probability = _blanked(maps.probability, bad)
    mask = probability > threshold
    return CosmicRayResult(
        probability=probability,
        predictive_entropy=_blanked(maps.predictive_entropy, bad),
        expected_entropy=_blanked(maps.expected_entropy, bad),
        mutual_information=_blanked(maps.mutual_information, bad),
        mask=mask,
        cleaned=cleaned(pixels, mask, bad, fill),
        threshold=threshold,
        samples=samples,
        method=method,
    )


def assembled_without_probability(
    pixels: Pixels, bad: Mask, mask: Mask, *, method: str, fill: FillName = "median"
) -> CosmicRayResult:
    """Pack the mask of a method that states no probability: its maps are NaN throughout."""
    unknown = np.full(pixels.shape, np.nan, dtype=np.float32)
    return CosmicRayResult(
        probability=unknown,
        predictive_entropy=unknown,
        expected_entropy=unknown,
        mutual_information=unknown,
        mask=mask,
        cleaned=cleaned(pixels, mask, bad, fill),
        threshold=float("nan"),
        samples=0,
        method=method,
    )


def cleaned(pixels: Pixels, mask: Mask, bad: Mask, fill: FillName = "median") -> Pixels:
    """Fill the masked pixels from good ones; bad pixels keep the value they have.

    Where every good pixel is masked there is nothing to fill from, and the pixels stay.
    """
    if not mask.any() or (mask | bad).all():
        return pixels.copy()
    return inpaint(pixels, mask, bad, fill=fill)


def _blanked(values: Pixels, bad: Mask) -> Pixels:
    return np.where(bad, np.float32(0), values) if bad.any() else values
