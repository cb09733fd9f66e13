"""Point-spread functions of many shapes, for fields that a network is to see through any optics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import j1

OVERSAMPLING = 3
REACH_PX = 30
TAPER_PX = 8.0
SHARPEST_PX, USUAL_PX, SOFTEST_PX = 1.5, 2.8, 5.0
WIDE_SHARE = 0.25

Floats = NDArray[np.float64]


def random_spread(rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """A point-spread function on a grid of a third of a pixel, and its core's FWHM in pixels.

    A Gaussian, a Moffat (beta 2.2 to 6) or the Airy pattern of an obstructed aperture; elliptical
    up to 0.8, blurred by charge diffusion, with a faint halo and sometimes diffraction spikes.
    Returns float32 of odd side, sum 1, and the FWHM before blur: 1.5 to 5 px, mostly below 2.8.
    """
    fwhm = (
        float(np.exp(rng.uniform(np.log(SHARPEST_PX), np.log(SOFTEST_PX))))
        if rng.random() < WIDE_SHARE
        else float(rng.uniform(SHARPEST_PX, USUAL_PX))
    )
    across, along = _grid(rng)
    core = _core(rng, np.hypot(across, along), fwhm)
    halo = (1 + (across**2 + along**2) / (2 * fwhm) ** 2) ** -1.7
    share = rng.uniform(0, 0.15)
    spread = (1 - share) * core / core.sum() + share * halo / halo.sum()
    if rng.random() < 0.4:
        spikes = _spikes(rng, fwhm)
        spread = 0.97 * spread + 0.03 * spikes / spikes.sum()
    spread = gaussian_filter(spread * _taper(), rng.uniform(0.1, 0.4) * OVERSAMPLING)
    return (spread / spread.sum()).astype(np.float32), fwhm


def _axes() -> tuple[Floats, Floats]:
    reach = REACH_PX * OVERSAMPLING
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1] / OVERSAMPLING
    return columns, rows


def _grid(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Coordinates in pixels along and across a random axis, the second stretched."""
    columns, rows = _axes()
    angle, axis_ratio = rng.uniform(0, np.pi), rng.uniform(0.8, 1.0)
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * columns + sine * rows, (cosine * rows - sine * columns) / axis_ratio


def _core(rng: np.random.Generator, radius: Floats, fwhm: float) -> Floats:
    kind = rng.choice(3, p=(0.25, 0.45, 0.3))
    if kind == 0:
        gaussian: Floats = np.exp(-4 * np.log(2) * (radius / fwhm) ** 2)
        return gaussian
    if kind == 1:
        beta = rng.uniform(2.2, 6)
        moffat: Floats = (1 + 4 * (2 ** (1 / beta) - 1) * (radius / fwhm) ** 2) ** -beta
        return moffat
    return _airy(radius / fwhm, obstruction=float(rng.uniform(0, 0.4)))


def _airy(radius_in_fwhm: Floats, obstruction: float) -> Floats:
    """Intensity behind an annular aperture, close to FWHM 1 (Born & Wolf, section 8.6.2)."""
    x = np.maximum(3.233 * radius_in_fwhm, 1e-6)
    amplitude = 2 * j1(x) / x
    if obstruction > 0:
        amplitude = amplitude - obstruction * 2 * j1(obstruction * x) / x
    intensity: Floats = (amplitude / (1 - obstruction**2)) ** 2
    return intensity


def _spikes(rng: np.random.Generator, fwhm: float) -> Floats:
    columns, rows = _axes()
    angle = rng.uniform(0, np.pi / 2)
    first = np.cos(angle) * columns + np.sin(angle) * rows
    second = np.cos(angle) * rows - np.sin(angle) * columns
    narrow = 0.4 * fwhm**2
    spikes: Floats = np.exp(-np.abs(first) / (3 * fwhm) - second**2 / narrow)
    spikes += np.exp(-np.abs(second) / (3 * fwhm) - first**2 / narrow)
    return spikes


def _taper() -> Floats:
    """One inside, falling to zero at the rim, so that bright stars have no edge."""
    inside = (REACH_PX - np.hypot(*_axes())) / TAPER_PX
    taper: Floats = 0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0, 1))
    return taper
