"""The one normalisation that both networks see: noise units of the whole frame, compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import NotApplicable
from engine.frame import Mask, Pixels

ONE_SIGMA_BELOW = 15.865525393145702
MOST_SIGMA = np.float32(1e30)


@dataclass(frozen=True)
class NoiseScale:
    """Background level and noise of a frame, in its pixel units."""

    median: float
    sigma: float

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask | None = None) -> NoiseScale:
        """Measure the good pixels: sigma = median - 15.87th percentile, blind to bright sources.

        `pixels` float32 (H, W); `mask` bool (H, W), True = bad. Raises NotApplicable where the
        noise is degenerate.
        """
        good = pixels.ravel() if mask is None else pixels[~mask]
        below, median = np.percentile(good, [ONE_SIGMA_BELOW, 50.0])
        sigma = float(median - below)
        if not sigma > 0:
            raise NotApplicable(
                "cosmic rays need pixel noise to stand out from, and this frame has none "
                "(median and 16th percentile agree): give the raw or calibrated exposure"
            )
        return cls(float(median), sigma)

    def apply(self, pixels: Pixels) -> Pixels:
        """arcsinh((pixels - median) / sigma), float32 (H, W), held within +-1e30 sigma."""
        with np.errstate(over="ignore"):
            noise_units = (pixels - np.float32(self.median)) / np.float32(self.sigma)
        scaled: Pixels = np.arcsinh(np.clip(noise_units, -MOST_SIGMA, MOST_SIGMA))
        return scaled
