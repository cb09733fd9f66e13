"""What coding does to measured light: 5-sigma sources and their fluxes against the raw frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.typing import NDArray
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry
from photutils.detection import DAOStarFinder

from engine.frame import Pixels

THRESHOLD_SIGMA = 5.0
FWHM_PX = 2.3
APERTURE_PX, INNER_PX, OUTER_PX = 4.0, 8.0, 12.0
MATCH_PX = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PhotometryReport:
    """Sources of the raw frame at 5 sigma, and what became of them.

    `recall` is the share found again within 2 px, `spurious` the share of the decoded frame's
    sources that the raw one does not have. `flux_bias` is the median of (decoded - raw) / raw over
    apertures of 4 px, `flux_scatter` 1.4826 times its median absolute deviation and
    `bias_sigma` the median of (decoded - raw) over the raw flux's own error; all NaN without
    sources.
    """

    sources: int
    recall: float
    spurious: float
    flux_bias: float
    flux_scatter: float
    bias_sigma: float


def photometry_report(raw: Pixels, decoded: Pixels) -> PhotometryReport:
    """Compare two images float32 (H, W) of the same sky.

    Sources by DAOFIND (Stetson, 1987) at 5 times the clipped noise of each image, apertures of
    4 px about the raw positions with the median of an annulus of 8 to 12 px as their sky.
    """
    known, noise = _sources(raw)
    found, _ = _sources(decoded)
    if not len(known):
        nothing = float("nan")
        return PhotometryReport(0, nothing, nothing, nothing, nothing, nothing)
    fluxes = [_fluxes(image, known) for image in (raw, decoded)]
    change = fluxes[1] - fluxes[0]
    error = noise * np.sqrt(np.pi) * APERTURE_PX
    bright = fluxes[0] > THRESHOLD_SIGMA * error
    relative = change[bright] / fluxes[0][bright]
    bias = float(np.median(relative)) if bright.any() else float("nan")
    scatter = float(1.4826 * np.median(np.abs(relative - bias))) if bright.any() else float("nan")
    return PhotometryReport(
        sources=len(known),
        recall=float(_near(known, found).mean()),
        spurious=float(1.0 - _near(found, known).mean()) if len(found) else 0.0,
        flux_bias=bias,
        flux_scatter=scatter,
        bias_sigma=float(np.median(change[bright] / error)) if bright.any() else float("nan"),
    )


def _sources(image: Pixels) -> tuple[Floats, float]:
    """Positions (n, 2) as x, y, and the clipped noise of the image."""
    _, median, noise = sigma_clipped_stats(image.astype(np.float64), sigma=3.0)
    if not noise > 0:
        return np.empty((0, 2)), float(noise)
    finder = DAOStarFinder(threshold=THRESHOLD_SIGMA * noise, fwhm=FWHM_PX)
    table = finder(image.astype(np.float64) - median)
    if table is None:
        return np.empty((0, 2)), float(noise)
    names = ("x_centroid", "y_centroid")
    if names[0] not in table.colnames:
        names = ("xcentroid", "ycentroid")
    return np.column_stack([np.asarray(table[name], np.float64) for name in names]), float(noise)


def _fluxes(image: Pixels, places: Floats) -> Floats:
    """Aperture sums less the local sky."""
    pixels = image.astype(np.float64)
    apertures = CircularAperture(places, r=APERTURE_PX)
    total = np.asarray(aperture_photometry(pixels, apertures)["aperture_sum"], np.float64)
    rings = CircularAnnulus(places, r_in=INNER_PX, r_out=OUTER_PX).to_mask(method="center")
    sky = [np.median(values) if (values := ring.get_values(pixels)).size else 0.0 for ring in rings]
    return total - np.asarray(sky) * np.pi * APERTURE_PX**2


def _near(places: Floats, others: Floats) -> NDArray[np.bool_]:
    if not len(others):
        return np.zeros(len(places), np.bool_)
    apart = np.hypot(*(places[:, None] - others[None]).transpose(2, 0, 1))
    return np.asarray(apart.min(axis=1) <= MATCH_PX)
