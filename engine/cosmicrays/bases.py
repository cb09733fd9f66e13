"""Bases: exposures free of known hits, simulated and real, that training injects hits into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

from engine.cosmicrays.exposures import Exposure, window_of
from engine.cosmicrays.hits import label_noise
from engine.cosmicrays.scaling import NoiseScale
from engine.frame import Mask, Pixels

ACS_HRC_47_TUC = "j8bt06nyq_flt.fits"
ACS_HRC_BAD_FLAGS = 4 | 8 | 16 | 256 | 512 | 2048
ACS_HRC_READ_NOISE_E = 5.0
ACS_HRC_TRAINING_ROWS = slice(0, 512)
ACS_HRC_CALIBRATION_ROWS = slice(528, 704)
ACS_HRC_REPORT_ROWS = slice(720, 1024)
WFPC2_OMEGA_CEN = "u40x010hm_c0f.fits"
WFPC2_GAIN_E = 7.0
WFPC2_READ_NOISE_E = 6.0
WFPC2_TRAINING_CHIPS = (0, 1)
WFPC2_CALIBRATION_CHIPS = (2,)
WFPC2_REPORT_CHIPS = (3,)
WFPC2_VIGNETTED_PX = 60
SHARP_PEAK_SIGMA = 5.0
SHARPEST_NEIGHBOUR = 0.1


@dataclass(frozen=True)
class Base:
    """One exposure in electrons: noise for labels, pixels never scored, noise scale, read noise."""

    pixels: Pixels
    noise: Pixels
    ignore: Mask
    scale: NoiseScale
    read_noise_e: float

    @classmethod
    def of(cls, pixels: Pixels, read_noise_e: float, ignore: Mask) -> Base:
        """Measure a frame's scale and label noise. `pixels` float32 (H, W) in electrons."""
        scale = NoiseScale.of(pixels, ignore if not ignore.all() else None)
        noise = label_noise(pixels, read_noise_e, scale.median)
        return cls(pixels, noise, ignore, scale, read_noise_e)

    def exposure(self, rng: np.random.Generator, side: int) -> Exposure:
        """A window of `side` pixels; nobody knows which part of it is noise."""
        window = window_of(rng, self.pixels.shape, side)
        pixels = self.pixels[window]
        return Exposure(
            pixels, np.zeros_like(pixels), self.noise[window], self.ignore[window], self.scale
        )


def sharp_peaks(pixels: Pixels, noise: Pixels) -> Mask:
    """Mark peaks too sharp for a star: likely real hits that nobody labelled, 3 pixels around.

    A peak of more than 5 sigma over the local median with a direct neighbour below a tenth of it.
    """
    excess = pixels - ndimage.median_filter(pixels, 7)
    peak = (pixels == ndimage.maximum_filter(pixels, 3)) & (excess > SHARP_PEAK_SIGMA * noise)
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    faintest = ndimage.minimum_filter(excess, footprint=cross)
    sharp = peak & (faintest < SHARPEST_NEIGHBOUR * excess)
    spread: NDArray[np.bool_] = ndimage.maximum_filter(sharp, 7)
    return spread


def read_47_tuc(path: Path, rows: slice = ACS_HRC_TRAINING_ROWS) -> Base:
    """Rows of the HST/ACS/HRC exposure of 47 Tuc, a crowded cluster."""
    pixels = fits.getdata(path, "SCI")[rows].astype(np.float32)
    flags = fits.getdata(path, "DQ")[rows]
    return _real_base(pixels, ACS_HRC_READ_NOISE_E, (flags & ACS_HRC_BAD_FLAGS) > 0)


def read_omega_cen(path: Path, chips: tuple[int, ...] = WFPC2_TRAINING_CHIPS) -> tuple[Base, ...]:
    """Chips of the HST/WFPC2 exposure of omega Cen in electrons, without the vignetted rim."""
    exposure = fits.getdata(path).astype(np.float32) * WFPC2_GAIN_E
    inside = slice(WFPC2_VIGNETTED_PX, None)
    return tuple(
        _real_base(chip, WFPC2_READ_NOISE_E, np.zeros(chip.shape, dtype=bool))
        for chip in (exposure[number, inside, inside] for number in chips)
    )


def _real_base(pixels: Pixels, read_noise_e: float, bad: Mask) -> Base:
    pixels = np.ascontiguousarray(pixels)
    shot_noise = np.sqrt(np.maximum(pixels, 0) + np.float32(read_noise_e) ** 2)
    return Base.of(pixels, read_noise_e, bad | sharp_peaks(pixels, shot_noise))
