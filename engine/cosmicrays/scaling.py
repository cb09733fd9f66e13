"""The one normalisation that both networks see: noise units of the whole frame, compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import NotApplicable
from engine.frame import Mask, Origin, Pixels

ONE_SIGMA_BELOW = 15.865525393145702
MOST_SIGMA = np.float32(1e30)


@dataclass(frozen=True)
class NoiseScale:
    """Background level and noise of a frame, in its pixel units."""

    median: float
    sigma: float

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask | None = None, floor: float = 0.0) -> NoiseScale:
        """Measure the good pixels: sigma = median - 15.87th percentile, blind to bright sources.

        `pixels` float32, any shape; `mask` bool of that shape, True = bad; `floor` is the least
        noise that the detector has (`read_noise_floor`): counts that are stored coarsely can have
        median and percentile on one level. Raises NotApplicable where the noise is degenerate.
        """
        good = pixels.ravel() if mask is None else pixels[~mask]
        below, median = np.percentile(good, [ONE_SIGMA_BELOW, 50.0])
        sigma = float(median - below)
        if sigma < floor and good.min() < good.max():
            sigma = floor
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


def read_noise_floor(unit: str, origin: Origin) -> float:
    """The stated read noise in the frame's unit, 0 where the header does not say enough.

    Electrons as they are, counts over the gain, rates over the exposure time as well.
    """
    noise = origin.read_noise_e
    if noise is None:
        return 0.0
    per_unit = electrons_per_unit(unit, origin)
    return noise / per_unit if per_unit else 0.0


def electrons_per_unit(unit: str, origin: Origin) -> float | None:
    """How many electrons one unit of the pixels is, None where the header does not say enough."""
    plain, _, over = unit.lower().partition("/")
    gain = 1.0 if plain.strip().startswith("electron") else origin.gain_e_per_adu
    if gain is None or not over:
        return gain
    return gain * origin.exposure_s if over.strip() == "s" and origin.exposure_s else None
