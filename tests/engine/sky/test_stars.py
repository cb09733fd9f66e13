from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad

from engine.sky.conditions import FieldConditions
from engine.sky.stars import (
    draw_stars,
    gaussian_spread,
    moffat_spread,
    paint_star,
    point_spread,
)
from engine.sky.truth import STAR, SkyObject


def moffat(r: np.ndarray | float, fwhm: float, beta: float) -> np.ndarray | float:
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    return (beta - 1) / (np.pi * alpha**2) * (1 + (r / alpha) ** 2) ** -beta


@pytest.mark.parametrize("fwhm", [0.8, 2.2, 5.0])
@pytest.mark.parametrize("place", [(32.0, 32.0), (31.37, 30.81)])
def test_a_gaussian_star_keeps_its_flux_and_place(fwhm: float, place: tuple[float, float]) -> None:
    canvas = np.zeros((64, 64))
    paint_star(canvas, SkyObject(STAR, *place, fwhm, 5000.0), gaussian_spread(fwhm))
    assert canvas.sum() == pytest.approx(5000.0, rel=1e-6)
    tolerance = 1e-3 if fwhm > 2 else 0.05  # pixels shift the centroid of undersampled stars
    rows, columns = np.mgrid[0:64, 0:64]
    assert (canvas * columns).sum() / canvas.sum() == pytest.approx(place[0], abs=tolerance)
    assert (canvas * rows).sum() / canvas.sum() == pytest.approx(place[1], abs=tolerance)


@pytest.mark.parametrize("beta", [2.2, 3.5, 5.0])
def test_a_moffat_star_keeps_its_flux(beta: float) -> None:
    canvas = np.zeros((128, 128))
    paint_star(canvas, SkyObject(STAR, 63.3, 64.6, 2.0, 1.0), moffat_spread(2.0, beta))
    assert canvas.sum() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("beta", [2.2, 3.5, 5.0])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_the_gaussians_add_up_to_moffats_function(beta: float, offset: int) -> None:
    fwhm = 2.5
    shares = moffat_spread(fwhm, beta).integrated(0, 0, np.array([offset]), np.array([0]))
    exact, _ = dblquad(
        lambda y, x: float(moffat(np.hypot(x, y), fwhm, beta)),
        offset - 0.5,
        offset + 0.5,
        -0.5,
        0.5,
    )
    assert shares[0, 0] == pytest.approx(exact, rel=0.01)


def test_a_pixel_centred_gaussian_has_the_known_central_share() -> None:
    # erf(0.5 / (sqrt(2) * 1))^2 with sigma = 1
    shares = gaussian_spread(2.3548200450309493).integrated(0, 0, np.array([0]), np.array([0]))
    assert shares[0, 0] == pytest.approx(0.3829249225480262**2, rel=1e-12)


def test_a_star_beyond_the_edge_leaves_only_its_wing() -> None:
    canvas = np.zeros((32, 32))
    paint_star(canvas, SkyObject(STAR, -1.0, 16.0, 3.0, 100.0), gaussian_spread(3.0))
    assert 0 < canvas.sum() < 50
    paint_star(
        empty := np.zeros((32, 32)), SkyObject(STAR, 900.0, 5.0, 3.0, 1.0), gaussian_spread(3)
    )
    assert not empty.any()


def test_the_conditions_choose_the_shape() -> None:
    assert point_spread(FieldConditions(moffat_beta=None)).weights.tolist() == [1.0]
    assert point_spread(FieldConditions(moffat_beta=3.0)).weights.sum() == pytest.approx(1.0)


def test_star_fluxes_follow_the_power_law_from_five_sigma_up() -> None:
    conditions = FieldConditions(n_stars=4000)
    stars = draw_stars(np.random.default_rng(1), conditions)
    flux = np.array([star.flux_e for star in stars])
    faintest = 5 * conditions.noise_e * np.sqrt(np.pi * conditions.fwhm_px**2)
    assert flux.min() >= faintest * (1 - 1e-9)
    # For dN/dF ~ F^-1.8 a factor ten in flux leaves 10^-0.8 of the stars.
    assert (flux > 10 * faintest).mean() == pytest.approx(10**-0.8, abs=0.03)
