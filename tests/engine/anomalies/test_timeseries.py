"""Target-pixel series: stack, variability and what flared up, invented and real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.timeseries import PixelSeries, SeriesResult, analyse_series, read_series
from engine.errors import UnreadableFile


def quiet(cadences: int = 200, side: int = 7, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    star = 500 * np.exp(-((columns - 3) ** 2 + (rows - 3) ** 2) / 2)
    return 100 + star + rng.normal(0, 5, (cadences, side, side))


def analysed(flux: np.ndarray, good: np.ndarray | None = None) -> SeriesResult:
    time = 2000 + np.arange(len(flux)) / 48
    kept = np.ones(len(flux), np.bool_) if good is None else good
    return analyse_series(PixelSeries(flux, time, kept))


def test_a_quiet_series_has_a_stack_and_no_flare() -> None:
    flux = quiet()
    result = analysed(flux)
    np.testing.assert_allclose(result.stack, np.median(flux, axis=0), rtol=1e-6)
    assert np.median(result.variability) == pytest.approx(1, abs=0.1)
    assert (result.cadences, result.transients) == (200, ())


def test_pixels_that_brighten_together_for_a_few_cadences_are_flagged() -> None:
    flux = quiet()
    flux[90:94, 2:4, 4:6] += 40
    (flare,) = analysed(flux).transients
    assert (flare.x, flare.y) == (pytest.approx(4.5, abs=0.2), pytest.approx(2.5, abs=0.2))
    assert (flare.first_cadence, flare.last_cadence, flare.pixels) == (90, 93, 4)
    assert flare.start_time == pytest.approx(2000 + 90 / 48)
    # Four pixels of 40 over noise 5 each: 160 / 10 = 16 sigma in a cadence.
    assert flare.peak_sigma == pytest.approx(16, abs=4)
    assert "sigma above their noise for 4 cadences" in flare.reason


def moving(flux: np.ndarray) -> None:
    flux[90:94, 3, 4] += 60
    flux[90:94, 3, 2] -= 60


def rising(flux: np.ndarray) -> None:
    flux[90:94] += 60


def single(flux: np.ndarray) -> None:
    flux[90, 3, 4] += 500


def lasting(flux: np.ndarray) -> None:
    flux[90:150, 2:4, 4:6] += 60


@pytest.mark.parametrize("change", [moving, rising, single, lasting])
def test_drifts_stray_light_single_hits_and_lasting_changes_are_not(change) -> None:  # type: ignore[no-untyped-def]
    flux = quiet()
    change(flux)
    assert analysed(flux).transients == ()


def test_cadences_of_poor_quality_do_not_count() -> None:
    flux = quiet()
    flux[90:94, 2:4, 4:6] += 40
    good = np.ones(200, np.bool_)
    good[88:96] = False
    result = analysed(flux, good)
    assert (result.cadences, result.transients) == (192, ())


def test_missing_pixels_stay_unknown_and_an_empty_series_is_said_to_be_empty() -> None:
    flux = quiet()
    flux[:, 0, 0] = np.nan
    result = analysed(flux)
    assert np.isnan(result.stack[0, 0])
    assert np.isnan(result.variability[0, 0])
    nothing = analysed(np.full((20, 3, 3), np.nan))
    assert (nothing.cadences, nothing.transients) == (0, ())


def test_a_file_without_a_series_and_a_broken_one(tmp_path: Path) -> None:
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"SIMPLE  =                    T")
    with pytest.raises(UnreadableFile, match="cannot be read as a time series"):
        read_series(broken)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shape", "cadences", "flares"),
    [
        ("tess-s0001-4-3_107.27_-70.0_5x5_astrocut.fits", (5, 5), 1267, {1089, 1091}),
        ("synthetic-k2-flat.targ.fits.gz", (7, 7), 500, set()),
        ("psfmachine_tpf_test_00.fits", (9, 8), 10, set()),
        ("test-tpf-star.fits", (3, 3), 1101, set()),
    ],
)
def test_real_series(
    data_root: Path, name: str, shape: tuple[int, int], cadences: int, flares: set[int]
) -> None:
    series = read_series(data_root / "tess" / name)
    assert series is not None
    result = analyse_series(series)
    assert result.stack.shape == result.variability.shape == shape
    assert result.cadences == cadences
    assert {flare.first_cadence for flare in result.transients} == flares


@pytest.mark.data
def test_an_image_has_no_series(data_root: Path) -> None:
    assert read_series(data_root / "tess" / "photutils_M51.fits") is None
