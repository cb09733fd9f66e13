"""`skysieve clean` on small FITS files, read back as a user would."""

from __future__ import annotations

import gzip
import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from typer.testing import CliRunner

from engine.cards import read_card
from engine.errors import CalibrationError, ModelError
from engine.frame import Origin
from engine.reading import read_frames
from jobs.cli.app import app
from jobs.cli.cleaning import clean
from jobs.errors import UsageError

NAMES = ["SCI", "MASK", "PROB", "ENTROPY", "MI", "DQ"]
HIT = (slice(20, 27), 30)


def exposure(seed: int = 0) -> np.ndarray:
    """64 x 48 pixels of sky at 100 electrons with one bright vertical track and one dead pixel."""
    pixels = np.random.default_rng(seed).normal(100, 11, (64, 48)).astype(np.float32)
    pixels[HIT] += 1200
    pixels[5, 5] = np.nan
    return pixels


def header() -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [150.0, 2.0], [24, 32], [-1e-4, 1e-4]
    cards = wcs.to_header()
    cards["BUNIT"], cards["OBJECT"] = "electron", "somewhere"
    return cards


@pytest.fixture
def one_chip(tmp_path: Path) -> Path:
    path = tmp_path / "one.fits"
    fits.PrimaryHDU(exposure(), header()).writeto(path)
    return path


@pytest.mark.parametrize("method", ["vi", "unet"])
def test_one_chip_gives_the_six_extensions(one_chip: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "clean.fits"
    clean(one_chip, out, method=method, samples=3)  # type: ignore[arg-type]
    with fits.open(out) as units:
        assert [unit.name for unit in units[1:]] == NAMES
        science, mask, quality = units["SCI"].data, units["MASK"].data, units["DQ"].data
        assert mask[HIT].all()
        assert abs(science[HIT].mean() - 100) < 15
        assert (quality[HIT] & 4096 == 4096).all()
        assert quality[5, 5] == 1
        assert mask[5, 5] == 0
        untouched = (mask == 0) & np.isfinite(science)
        assert np.array_equal(science[untouched], exposure()[untouched])
        assert (units["MI"].data <= units["ENTROPY"].data).all()
        assert np.array_equal(mask == 1, units["PROB"].data > 0.5)


def test_header_and_wcs_are_kept(one_chip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.fits"
    clean(one_chip, out, method="unet")
    with fits.open(out) as units:
        assert units["SCI"].header["OBJECT"] == "somewhere"
        assert units[0].header["CRMETHOD"] == "unet"
        for name in NAMES:
            centre = WCS(units[name].header).pixel_to_world(23, 31)
            assert centre.ra.deg == pytest.approx(150.0)
            assert centre.dec.deg == pytest.approx(2.0)


def test_the_cleaned_file_reads_back_as_one_frame(one_chip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.fits"
    clean(one_chip, out, method="unet")
    (frame,) = read_frames(out, source="test").frames
    assert isinstance(frame.origin, Origin)
    assert frame.unit == "electron"
    assert frame.pixels[HIT].max() < 200


def test_every_chip_is_cleaned_and_numbered(tmp_path: Path) -> None:
    path, out = tmp_path / "two.fits", tmp_path / "clean.fits"
    chips = [fits.ImageHDU(exposure(k), header(), name="SCI", ver=k) for k in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(path)
    clean(path, out, method="unet")
    with fits.open(out) as units:
        found = [(unit.name, unit.ver) for unit in units[1:]]
        assert found == [(name, number) for number in (1, 2) for name in NAMES]
        assert units["MASK", 2].data[HIT].all()
        assert not np.array_equal(units["SCI", 1].data, units["SCI", 2].data)


def test_the_same_seed_gives_the_same_file(one_chip: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / f"{name}.fits" for name in ("first", "again", "other"))
    clean(one_chip, first, method="vi", samples=2, seed=4)
    clean(one_chip, again, method="vi", samples=2, seed=4)
    clean(one_chip, other, method="vi", samples=2, seed=5)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_lacosmic_states_no_probability(one_chip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.fits"
    clean(one_chip, out, method="lacosmic")
    with fits.open(out) as units:
        assert units["MASK"].data[HIT].all()
        assert units["MASK"].data.mean() < 0.02
        for name in ("PROB", "ENTROPY", "MI"):
            assert np.isnan(units[name].data).all()


def test_deepcr_missing_names_the_extra(
    one_chip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(ModelError, match=r"pip install 'skysieve\[deepcr\]'"):
        clean(one_chip, tmp_path / "clean.fits", method="deepcr")
    assert not (tmp_path / "clean.fits").exists()


def test_deepcr_finds_the_hit(one_chip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.fits"
    clean(one_chip, out, method="deepcr")
    with fits.open(out) as units:
        assert units["MASK"].data[HIT].all()
        assert units[0].header["CRMODEL"] == "deepCR ACS-WFC"


def test_a_chip_that_does_not_apply_is_skipped_and_named(tmp_path: Path) -> None:
    path, out = tmp_path / "mixed.fits", tmp_path / "clean.fits"
    flat = fits.ImageHDU(np.ones((32, 32), np.float32), name="FLAT")
    fits.HDUList([fits.PrimaryHDU(exposure(), header()), flat]).writeto(path)
    arguments = ["clean", str(path), "--out", str(out), "--method", "unet", "--json"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0
    facts = json.loads(answer.stdout)
    assert facts["chips"] == 1
    assert list(facts["skipped"]) == ["FLAT"]
    assert "need pixel noise" in facts["skipped"]["FLAT"]


def test_nothing_to_clean_is_an_error(tmp_path: Path) -> None:
    path, out = tmp_path / "flat.fits", tmp_path / "clean.fits"
    fits.PrimaryHDU(np.ones((32, 32), np.float32)).writeto(path)
    with pytest.raises(UsageError, match="can be cleaned"):
        clean(path, out)
    assert not out.exists()


def test_the_input_is_never_overwritten(one_chip: Path) -> None:
    before = one_chip.read_bytes()
    with pytest.raises(UsageError, match="is the input itself"):
        clean(one_chip, one_chip)
    assert one_chip.read_bytes() == before


def test_eight_views_are_named_and_disagree(one_chip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.fits"
    arguments = ["clean", str(one_chip), "--out", str(out), "--method", "unet", "--views", "8"]
    answer = CliRunner().invoke(app, [*arguments, "--fill", "smooth", "--json"])
    assert answer.exit_code == 0
    facts = json.loads(answer.stdout)
    assert (facts["method"], facts["samples"]) == ("unet_8_views", 8)
    with fits.open(out) as units:
        assert (units[0].header["CRVIEWS"], units[0].header["CRFILL"]) == (8, "smooth")
        assert units["MI"].data.max() > 0
        assert units["MASK"].data[HIT].all()
    with pytest.raises(UsageError, match="views must be one of"):
        clean(one_chip, out, method="unet", views=3)


@pytest.mark.parametrize("offset", [0, 32768])
def test_integers_are_cleaned_as_they_mean(tmp_path: Path, offset: int) -> None:
    counts = np.nan_to_num(np.round(exposure()), nan=0).astype(np.uint16 if offset else np.int16)
    cards = header()
    path, out = tmp_path / "counts.fits", tmp_path / "clean.fits"
    fits.PrimaryHDU(counts, cards).writeto(path)
    clean(path, out, method="unet")
    with fits.open(path) as units:
        assert units[0].header.get("BZERO", 0) == offset
    with fits.open(out) as units:
        mask = units["MASK"].data == 1
        assert mask[HIT].all()
        assert np.array_equal(units["SCI"].data[~mask], counts[~mask])
        assert "BZERO" not in units["SCI"].header


def test_the_inputs_flags_are_kept_and_heeded(tmp_path: Path) -> None:
    path, out = tmp_path / "flagged.fits", tmp_path / "clean.fits"
    quality = np.zeros((64, 48), np.int16)
    quality[HIT], quality[50, 40] = 16, 64
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "HST", "WFC3"
    science = fits.ImageHDU(exposure(), header(), name="SCI")
    fits.HDUList([primary, science, fits.ImageHDU(quality, name="DQ")]).writeto(path)
    clean(path, out, method="unet")
    with fits.open(out) as units:
        assert units[0].header["INSTRUME"] == "WFC3"
        assert not units["MASK"].data[HIT].any()
        assert np.array_equal(units["SCI"].data[HIT], exposure()[HIT])
        assert (units["DQ"].data[HIT] == 16 | 1).all()
        assert units["DQ"].data[50, 40] == 64
    clean(path, out, method="unet", bad_flags=0)
    with fits.open(out) as units:
        assert units["MASK"].data[HIT].all()
        assert (units["DQ"].data[HIT] == 16 | 4096).all()


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.ones((1, 1), np.float32), "1 x 1 pixels is too small"),
        (np.full((20, 20), 7, np.int16), "this frame has none"),
        (np.full((20, 20), np.nan, np.float32), "no good pixel"),
        (np.arange(400, dtype=np.uint8).reshape(20, 20), "8-bit samples"),
    ],
)
def test_frames_that_say_nothing_are_named(tmp_path: Path, pixels: np.ndarray, reason: str) -> None:
    path, out = tmp_path / "in.fits", tmp_path / "clean.fits"
    fits.PrimaryHDU(pixels).writeto(path)
    with pytest.raises(UsageError, match=reason):
        clean(path, out, method="unet")
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_gzipped_file_is_cleaned_too(one_chip: Path, tmp_path: Path) -> None:
    packed, plain, out = tmp_path / "one.fits.gz", tmp_path / "plain.fits", tmp_path / "out.fits"
    packed.write_bytes(gzip.compress(one_chip.read_bytes()))
    clean(one_chip, plain, method="unet")
    clean(packed, out, method="unet")
    with fits.open(plain) as expected, fits.open(out) as found:
        for name in NAMES:
            assert np.array_equal(found[name].data, expected[name].data, equal_nan=True)


def test_a_miss_rate_wants_a_calibrated_card(one_chip: Path, tmp_path: Path) -> None:
    card = read_card("cosmicrays-unet")
    out = tmp_path / "clean.fits"
    if "miss_rate" not in card.calibration:
        with pytest.raises(CalibrationError, match="no calibration of missed pixels"):
            clean(one_chip, out, method="unet", miss_rate=0.05)
        return
    clean(one_chip, out, method="unet", miss_rate=0.05)
    with fits.open(out) as units:
        assert units[0].header["CRMISS"] == 0.05
        assert units["MASK"].data[HIT].all()
