from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.sky import FieldConditions, SkyObject, simulate_field
from engine.sky.field import draw_galaxies, paint, sky_level

EMPTY = FieldConditions(
    size=128, n_stars=0, n_galaxies=0, cosmic_ray_rate=0, background_gradient=0.0
)


def test_pixels_differ_from_clean_only_where_cosmic_rays_hit() -> None:
    conditions = FieldConditions(size=192, cosmic_ray_rate=1500)
    image = simulate_field(np.random.default_rng(4), conditions)
    charge = image.pixels - image.clean
    assert image.truth.cosmic_ray_floor_e == pytest.approx(np.sqrt(150 + 25))
    assert image.truth.cosmic_rays.sum() > 100
    assert (charge[image.truth.cosmic_rays] > 0.99 * image.truth.cosmic_ray_floor_e).all()
    assert (charge[~image.truth.cosmic_rays] < 1.01 * image.truth.cosmic_ray_floor_e).all()


def test_an_empty_sky_has_its_background_and_noise() -> None:
    image = simulate_field(np.random.default_rng(0), EMPTY)
    assert image.pixels.mean() == pytest.approx(150.0, abs=0.5)
    # Poisson variance 150 plus read noise 5^2
    assert image.pixels.std() == pytest.approx(np.sqrt(175.0), rel=0.02)


def test_the_flux_of_a_star_can_be_measured_in_the_frame() -> None:
    star = SkyObject("star", 64.2, 63.8, EMPTY.fwhm_px, 50_000.0)
    image = simulate_field(np.random.default_rng(1), EMPTY, objects=(star,))
    rows, columns = np.mgrid[0:128, 0:128]
    aperture = np.hypot(columns - 64.2, rows - 63.8) < 25
    flux = (image.pixels - 150.0)[aperture].sum()
    assert flux == pytest.approx(50_000.0, rel=0.03)


def test_the_flux_of_a_galaxy_passes_the_optics_whole() -> None:
    galaxies = draw_galaxies(np.random.default_rng(3), replace(EMPTY, size=256, n_galaxies=1))
    middle = tuple(replace(galaxy, x=128.0, y=128.0) for galaxy in galaxies)
    painted = paint(middle, replace(EMPTY, size=256))
    assert painted.sum() == pytest.approx(middle[0].flux_e, rel=0.01)


def test_the_sky_rises_by_its_gradient() -> None:
    level = sky_level(FieldConditions(size=101, background_e=100.0, background_gradient=0.2))
    assert level[0, 0] == pytest.approx(90.0)
    assert level[50, 50] == pytest.approx(100.0)
    assert level[-1, -1] == pytest.approx(110.0)


def test_artefacts_are_masked_and_listed() -> None:
    conditions = replace(EMPTY, n_hot_columns=1, n_trails=1)
    image = simulate_field(np.random.default_rng(2), conditions)
    column = next(thing for thing in image.truth.objects if thing.kind == "hot_column")
    first = int(column.parameters["first_row"])
    assert image.truth.artefacts[first:, int(column.x)].all()
    assert {thing.kind for thing in image.truth.objects} == {"hot_column", "trail"}
    spoiled, rest = image.truth.artefacts, ~image.truth.artefacts
    assert image.clean[spoiled].mean() > image.clean[rest].mean() + 2 * conditions.noise_e


def test_saturated_stars_bleed_and_are_masked() -> None:
    bright = SkyObject("star", 64.0, 64.0, 2.0, 5_000_000.0)
    image = simulate_field(np.random.default_rng(2), EMPTY, objects=(bright,))
    assert image.pixels.max() <= EMPTY.full_well_e
    assert image.truth.artefacts[:, 64].sum() > 10


def test_galaxies_keep_apart_and_a_share_of_them_is_rare() -> None:
    conditions = replace(EMPTY, size=1024, n_galaxies=200, anomaly_share=0.2)
    galaxies = draw_galaxies(np.random.default_rng(8), conditions)
    places = np.array([(galaxy.x, galaxy.y) for galaxy in galaxies])
    distances = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert distances[np.triu_indices(len(places), 1)].min() > 36
    assert np.mean([galaxy.is_anomaly for galaxy in galaxies]) == pytest.approx(0.2, abs=0.08)


def test_the_same_seed_gives_the_same_field() -> None:
    conditions = FieldConditions(size=64, n_galaxies=1)
    first = simulate_field(np.random.default_rng(6), conditions)
    again = simulate_field(np.random.default_rng(6), conditions)
    other = simulate_field(np.random.default_rng(7), conditions)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_sampled_conditions_stay_in_their_ranges_and_can_be_taken() -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        conditions = FieldConditions.sample(rng, size=48)
        assert 0.8 <= conditions.fwhm_px <= 5.0
        image = simulate_field(rng, conditions)
        assert image.pixels.shape == (48, 48)
        assert np.isfinite(image.pixels).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fwhm_px": 0.0}, "fwhm_px must be positive"),
        ({"background_e": float("nan")}, "background_e must be positive"),
        ({"n_stars": -1}, "must not be negative"),
        ({"moffat_beta": 1.0}, "needs beta > 1"),
    ],
)
def test_conditions_without_meaning_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FieldConditions(**wrong)  # type: ignore[arg-type]
