"""Cleaning by bands: what DQ, ERR and SATURATE say, integers, and that bands do not show."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.cosmicrays import chips as chips_module
from engine.cosmicrays.chips import open_chips
from engine.cosmicrays.cleaning import bands, clean_chip, prepare_networks
from engine.cosmicrays.flags import bad_flags_of
from engine.cosmicrays.pipeline import CosmicRayPipeline
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.cosmicrays.products import products_file
from engine.cosmicrays.scaling import NoiseScale
from engine.errors import NotApplicable
from engine.reading import read_frames

PROJECT = Path(__file__).parents[3]
EVERYTHING = (slice(None), slice(None))


@pytest.fixture
def sky() -> np.ndarray:
    """151 x 83 pixels of sky with forty tracks and a dead corner."""
    rng = np.random.default_rng(8)
    pixels = rng.normal(100, 10, (151, 83)).astype(np.float32)
    for _ in range(40):
        y, x = rng.integers(0, 140), rng.integers(0, 80)
        pixels[y : y + 6, x : x + 2] += 700
    pixels[60:66, 40:46] = np.nan
    return pixels


def write(path: Path, *units: fits.ImageHDU, primary: fits.PrimaryHDU | None = None) -> Path:
    fits.HDUList([primary or fits.PrimaryHDU(), *units]).writeto(path)
    return path


@pytest.mark.parametrize("method", ["unet", "vi"])
def test_bands_do_not_show(sky: np.ndarray, tmp_path: Path, method: str) -> None:
    path = write(tmp_path / "in.fits", fits.ImageHDU(sky, name="SCI"))
    pipeline = CosmicRayPipeline(CosmicRayPolicy(method=method, views=1, samples=3))  # type: ignore[arg-type]
    planes = {}
    for name, band_pixels in (("whole", 2**24), ("bands", 1)):
        with open_chips(path) as opened, products_file(tmp_path / name) as out:
            out.write_primary("", {})
            (chip,) = opened.chips
            clean_chip(chip, prepare_networks(pipeline), partial(out.chip, chip), band_pixels)
        with fits.open(tmp_path / name) as units:
            planes[name] = {unit.name: unit.data.copy() for unit in units[1:]}
    assert len(list(bands(151, 83, 1))) == 3
    for name, whole in planes["whole"].items():
        np.testing.assert_allclose(planes["bands"][name], whole, atol=1e-4, err_msg=name)
    assert planes["whole"]["MASK"].sum() > 100


def test_a_chip_is_the_frame_it_would_be(sky: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "in.fits", fits.ImageHDU(sky, name="SCI"))
    (frame,) = read_frames(path, source="file").frames
    with open_chips(path) as opened:
        (chip,) = opened.chips
        assert chip.digest() == frame.digest
        assert chip.scale() == NoiseScale.of(frame.pixels, frame.mask)
        assert (chip.part, chip.shape, chip.sample_bits) == ("SCI", (151, 83), 32)


@pytest.mark.parametrize(
    ("stored", "cards"),
    [
        (np.int16, {}),
        (np.int16, {"BZERO": 32768, "BSCALE": 1}),
        (np.int16, {"BZERO": 10.0, "BSCALE": 0.5}),
        (np.int32, {"BLANK": -99}),
    ],
)
def test_integers_are_read_as_they_mean(
    sky: np.ndarray, tmp_path: Path, stored: type, cards: dict[str, float]
) -> None:
    counts = np.nan_to_num(sky, nan=-99).astype(stored)
    unit = fits.ImageHDU(counts)
    unit.header.update(cards)
    raw = counts.astype(np.dtype(stored).newbyteorder(">")).tobytes()
    headers = "".join(one.header.tostring(padding=True) for one in (fits.PrimaryHDU(), unit))
    path = tmp_path / "in.fits"
    path.write_bytes(headers.encode() + raw + bytes(-len(raw) % 2880))
    with open_chips(path) as opened:
        band = opened.chips[0].read(*EVERYTHING)
    expected = counts.astype(float) * cards.get("BSCALE", 1.0) + cards.get("BZERO", 0.0)
    blank = counts == cards.get("BLANK", 1e9)
    assert np.array_equal(band.bad, blank)
    np.testing.assert_array_equal(band.pixels[~blank], expected[~blank].astype(np.float32))


def test_quality_errors_and_saturation_make_pixels_unusable(
    sky: np.ndarray, tmp_path: Path
) -> None:
    quality = np.zeros(sky.shape, np.int16)
    quality[1, 1], quality[2, 2], quality[3, 3] = 4, 64, 4096
    error = np.full(sky.shape, 5, np.float32)
    error[4, 4], error[5, 5] = np.nan, -1
    pixels = sky.copy()
    pixels[6, 6] = 70_000
    science = fits.ImageHDU(pixels, name="SCI")
    science.header["SATURATE"] = 65_000.0
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "HST", "ACS"
    companions = (fits.ImageHDU(error, name="ERR"), fits.ImageHDU(quality, name="DQ"))
    path = write(tmp_path / "in.fits", science, *companions, primary=primary)

    def bad_places(bad_flags: int | None) -> set[tuple[int, int]]:
        with open_chips(path, bad_flags=bad_flags) as opened:
            assert set(opened.ignored) == {"ERR", "DQ"}
            (chip,) = opened.chips
            band = chip.read(*EVERYTHING)
        assert band.flags[3, 3] == 4096
        assert band.flags[6, 6] == 256
        return {(int(y), int(x)) for y, x in np.argwhere(band.bad & np.isfinite(pixels))}

    assert bad_places(None) == {(1, 1), (4, 4), (5, 5), (6, 6)}
    assert bad_places(64) == {(2, 2), (4, 4), (5, 5), (6, 6)}
    assert bad_places(0) == {(4, 4), (5, 5), (6, 6)}


@pytest.mark.parametrize(
    ("cards", "bits"),
    [
        ({"TELESCOP": "HST", "INSTRUME": "ACS"}, 2847),
        ({"TELESCOP": "HST", "INSTRUME": "WFPC2"}, 703),
        ({"TELESCOP": "JWST", "INSTRUME": "NIRCAM"}, 3),
        ({"TELESCOP": "unknown"}, 0),
    ],
)
def test_each_telescope_has_its_own_bits(cards: dict[str, str], bits: int) -> None:
    header = fits.Header()
    header.update(cards)
    assert bad_flags_of(header) == bits


def test_a_large_chip_is_scaled_by_its_sampled_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).normal(50, 4, (700, 900)).astype(np.float32)
    path = write(tmp_path / "in.fits", fits.ImageHDU(pixels, name="SCI"))
    with open_chips(path) as opened:
        whole = opened.chips[0].scale()
        monkeypatch.setattr(chips_module, "WHOLE_PIXELS", 1000)
        monkeypatch.setattr(chips_module, "SAMPLE_BLOCKS_A_SIDE", 3)
        sampled = opened.chips[0].scale()
    assert sampled != whole
    assert sampled.median == pytest.approx(whole.median, abs=0.1)
    assert sampled.sigma == pytest.approx(whole.sigma, rel=0.03)


def test_a_chip_without_a_good_pixel_is_named(sky: np.ndarray, tmp_path: Path) -> None:
    unit = fits.ImageHDU(np.full((40, 40), np.nan, np.float32), name="SCI")
    path = write(tmp_path / "in.fits", unit)
    with open_chips(path) as opened, pytest.raises(NotApplicable, match="no good pixel"):
        opened.chips[0].scale()


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    def fail_in_the_middle() -> None:
        with products_file(tmp_path / "x") as out:
            out.write_primary("", {})
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle()
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import sys
from pathlib import Path
from jobs.bench.memory import peak_rss_bytes
from jobs.cli.cleaning import clean

clean(Path(sys.argv[1]), Path(sys.argv[2]), method="unet", views=1, fill="smooth", as_json=True)
print(peak_rss_bytes(), file=sys.stderr)
"""


@pytest.mark.slow
def test_a_file_larger_than_its_share_of_memory_goes_through(tmp_path: Path) -> None:
    """38 Mpx in three bands, its scale from sampled blocks; the output alone is 800 MB."""
    rows, width = 32, 6144
    rng = np.random.default_rng(0)
    block = rng.normal(100, 10, (rows, width)).astype(">f4")
    block[10:16, ::500] += 900
    header = fits.PrimaryHDU(np.broadcast_to(np.float32(0), (width, width))).header
    path, out = tmp_path / "large.fits", tmp_path / "out.fits"
    with path.open("wb") as file:
        file.write(header.tostring(padding=True).encode())
        for _ in range(width // rows):
            file.write(block.tobytes())
        file.write(bytes(-file.tell() % 2880))
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(out)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    peak_rss_bytes = int(answer.stderr.strip().splitlines()[-1])
    assert peak_rss_bytes < 2e9
    with fits.open(out, memmap=True) as units:
        middle = units["MASK"].data[3072:3104]
        assert (middle[10:16, ::500] == 1).mean() > 0.95
        assert np.abs(units["SCI"].data[3072:3104] - 100).max() < 80
        assert middle.mean() < 0.01
