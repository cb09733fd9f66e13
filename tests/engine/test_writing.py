from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from engine.errors import FrameError
from engine.reading import read_frames
from engine.sky import simulated_frame
from engine.writing import write_fits, write_png, write_whole


def test_a_frame_comes_back_from_its_file(tmp_path: Path) -> None:
    frame = simulated_frame("demo", 0, size=64).frame
    path = tmp_path / "a.fits"
    write_fits(path, {"SCI": frame.pixels, "MASK": frame.mask}, header=frame.header)
    reading = read_frames(path, source=frame.origin.source, object_id=frame.origin.object_id)
    (again,) = reading.frames
    assert again.digest == frame.digest
    assert again.origin.mjd == frame.origin.mjd
    assert again.origin.gain_e_per_adu == frame.origin.gain_e_per_adu
    assert again.origin.ra_deg == pytest.approx(frame.origin.ra_deg, abs=1e-9)
    assert [part.part for part in reading.ignored] == ["MASK"]


def test_the_wcs_is_in_every_extension(tmp_path: Path) -> None:
    frame = simulated_frame("demo", 0, size=64).frame
    write_fits(
        tmp_path / "a.fits", {"SCI": frame.pixels, "PROB": frame.pixels}, header=frame.header
    )
    assert frame.wcs is not None
    corner = frame.wcs.all_pix2world(0.0, 63.0, 0)
    with fits.open(tmp_path / "a.fits") as units:
        assert [unit.name for unit in units] == ["PRIMARY", "SCI", "PROB"]
        assert units[0].header["CTYPE1"] == "RA---TAN"
        for unit in units[1:]:
            there = WCS(unit.header).all_pix2world(0.0, 63.0, 0)
            assert np.allclose(there, corner, rtol=0, atol=1e-9)


def test_extra_cards_and_a_mask_of_bytes(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", {"MASK": np.eye(3) > 0}, cards={"METHOD": "vi", "SAMPLES": 16})
    with fits.open(tmp_path / "a.fits") as units:
        assert (units[0].header["METHOD"], units[0].header["SAMPLES"]) == ("vi", 16)
        assert units["MASK"].data.dtype == np.uint8
        assert np.array_equal(units["MASK"].data, np.eye(3))


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="give at least one image"):
        write_fits(tmp_path / "a.fits", {})


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("engine.writing.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "written", b"content")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        write_png(tmp_path / "absent" / "a.png", np.zeros((2, 2)), 8)


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)])
def test_png_keeps_depth_and_colours(
    tmp_path: Path, bits: int, dtype: type, shape: tuple[int, ...]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**bits, size=shape).astype(np.float32)
    path = tmp_path / "a.png"
    content = write_png(path, pixels, bits)
    assert path.read_bytes() == content
    frame = read_frames(path, source="s").frames[0]
    assert np.array_equal(frame.pixels, pixels)
    assert frame.sample_type == np.dtype(dtype).name


def test_png_rounds_and_holds_to_the_range() -> None:
    content = write_png(None, np.array([[-3.0, 0.6, 254.4, 300.0]]), 8)
    assert np.asarray(Image.open(io.BytesIO(content))).tolist() == [[0, 1, 254, 255]]


@pytest.mark.parametrize(
    ("pixels", "bits", "message"),
    [
        (np.zeros((2, 2)), 12, "8 or 16 bits"),
        (np.zeros((2, 3, 3)), 8, "needs shape"),
        (np.full((2, 2), np.nan), 8, "finite pixels only"),
    ],
)
def test_png_refuses_what_it_cannot_hold(pixels: np.ndarray, bits: int, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        write_png(None, pixels, bits)
