"""Stars: a point-spread function made of Gaussians, integrated over pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, roots_genlaguerre

from engine.sky.conditions import FieldConditions
from engine.sky.truth import STAR, SkyObject

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
MOFFAT_NODES = 8


@dataclass(frozen=True)
class PointSpread:
    """A circular point-spread function as a sum of Gaussians.

    `weights` are shares of the flux and sum to 1; `sigmas_px` their standard deviations.
    """

    weights: NDArray[np.float64]
    sigmas_px: NDArray[np.float64]

    def integrated(
        self, x: float, y: float, columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Share of the flux of a source at (x, y) in each pixel, shape (rows, columns)."""
        across = _pixel_shares(columns - x, self.sigmas_px)
        down = _pixel_shares(rows - y, self.sigmas_px)
        return (self.weights[:, None] * down).T @ across

    def kernel(self, radius: int) -> NDArray[np.float64]:
        """The pixel-integrated kernel of side 2 * radius + 1, normalised to sum 1."""
        offsets = np.arange(-radius, radius + 1)
        shares = self.integrated(0.0, 0.0, offsets, offsets)
        shares /= shares.sum()
        return shares


def _pixel_shares(
    offsets: NDArray[np.floating], sigmas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Integral of unit Gaussians over pixels at `offsets` from their centre, (sigmas, offsets)."""
    scale = 1.0 / (np.sqrt(2.0) * sigmas[:, None])
    shares: NDArray[np.float64] = erf((offsets + 0.5) * scale) - erf((offsets - 0.5) * scale)
    return 0.5 * shares


def gaussian_spread(fwhm_px: float) -> PointSpread:
    """A Gaussian point-spread function of the given full width at half maximum."""
    return PointSpread(np.ones(1), np.array([fwhm_px / FWHM_PER_SIGMA]))


def moffat_spread(fwhm_px: float, beta: float) -> PointSpread:
    """A Moffat point-spread function, as Gaussians by Gauss-Laguerre quadrature.

    A Moffat is a mixture of Gaussians: its share of flux t^(beta-2) e^-t / Gamma(beta-1) lies in a
    Gaussian of sigma^2 = alpha^2 / 2t, integrated over t > 0, because (1 + s)^-beta is
    1/Gamma(beta) times the integral of t^(beta-1) e^-t e^(-ts) with s = (r/alpha)^2. With eight
    nodes it holds within 1 % out to one FWHM; wings beyond three are cut. The profile is that of
    Moffat (1969), A&A 3, 455.
    """
    alpha = fwhm_px / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    nodes, weights = roots_genlaguerre(MOFFAT_NODES, beta - 2.0)
    return PointSpread(weights / weights.sum(), alpha / np.sqrt(2.0 * nodes))


def point_spread(conditions: FieldConditions) -> PointSpread:
    """The point-spread function of the given conditions."""
    if conditions.moffat_beta is None:
        return gaussian_spread(conditions.fwhm_px)
    return moffat_spread(conditions.fwhm_px, conditions.moffat_beta)


def draw_stars(rng: np.random.Generator, conditions: FieldConditions) -> list[SkyObject]:
    """Draw stars at random places, with fluxes from a power law dN/dF ~ F^-1.8.

    The faintest lie near 5 sigma, the brightest saturate now and then.
    """
    count, fwhm = conditions.n_stars, conditions.fwhm_px
    area = np.pi * fwhm**2
    faintest = 5.0 * conditions.noise_e * np.sqrt(area)
    brightest = max(2.0 * conditions.full_well_e * area, 10.0 * faintest)
    slope = -0.8
    share = rng.random(count)
    flux = (faintest**slope + share * (brightest**slope - faintest**slope)) ** (1.0 / slope)
    places = rng.uniform(-2 * fwhm, conditions.size - 1 + 2 * fwhm, size=(count, 2))
    return [
        SkyObject(STAR, float(x), float(y), fwhm, float(f))
        for (x, y), f in zip(places, flux, strict=True)
    ]


def paint_star(canvas: NDArray[np.float64], star: SkyObject, spread: PointSpread) -> None:
    """Add a star's expected electrons to the canvas, shape (H, W), in place.

    The stamp reaches six times the widest Gaussian, where less than 1e-8 of its flux is left out.
    """
    reach = int(np.ceil(6.0 * spread.sigmas_px.max()))
    height, width = canvas.shape
    x0, x1 = max(int(star.x) - reach, 0), min(int(star.x) + reach + 1, width)
    y0, y1 = max(int(star.y) - reach, 0), min(int(star.y) + reach + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    shares = spread.integrated(star.x, star.y, np.arange(x0, x1), np.arange(y0, y1))
    canvas[y0:y1, x0:x1] += star.flux_e * shares
