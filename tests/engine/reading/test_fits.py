from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.errors import FrameError
from engine.frame import Frame
from engine.reading import Reading, read_frames

RAMP = np.arange(12, dtype=np.float32).reshape(3, 4)


def write(path: Path, *units: fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU) -> Path:
    fits.HDUList(list(units)).writeto(path)
    return path


def read(path: Path, plane: int | str | None = None) -> Reading:
    return read_frames(path, source="test", plane=plane)  # type: ignore[arg-type]


def only(reading: Reading) -> Frame:
    assert len(reading.frames) == 1
    return reading.frames[0]


def test_a_plain_image_in_the_primary(tmp_path: Path) -> None:
    path = write(tmp_path / "a.b.fits", fits.PrimaryHDU(RAMP))
    frame = only(read(path))
    assert np.array_equal(frame.pixels, RAMP)
    assert (frame.origin.object_id, frame.origin.part) == ("a.b", "PRIMARY")
    assert (frame.origin.source, frame.origin.uri) == ("test", str(path))
    assert frame.origin.mjd is None
    assert read_frames(path, source="s", object_id="M31").frames[0].origin.object_id == "M31"


def test_gzip_is_seen_by_content_not_by_name(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.fits", fits.PrimaryHDU(RAMP))
    for name in ("b.fits.gz", "c.fits"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        assert only(read(tmp_path / name)).digest == only(read(plain)).digest
    assert only(read(tmp_path / "b.fits.gz")).origin.object_id == "b"


def test_tile_compressed_images_are_read(tmp_path: Path) -> None:
    image = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    path = write(tmp_path / "a.fits.fz", fits.PrimaryHDU(), fits.CompImageHDU(image, name="SCI"))
    frame = only(read(path))
    assert np.array_equal(frame.pixels, image)
    assert (frame.sample_type, frame.origin.part) == ("int16", "SCI")


def test_every_science_extension_is_a_frame_and_companions_are_not(tmp_path: Path) -> None:
    units = [fits.PrimaryHDU()]
    for version in (1, 2):
        units += [
            fits.ImageHDU(RAMP + version, name="SCI", ver=version),
            fits.ImageHDU(RAMP, name="ERR", ver=version),
            fits.ImageHDU(RAMP.astype(np.int16), name="DQ", ver=version),
        ]
    units.append(fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])], name="LOG"))
    reading = read(write(tmp_path / "a.fits", *units))
    assert [frame.origin.part for frame in reading.frames] == ["SCI,1", "SCI,2"]
    assert [frame.pixels[0, 0] for frame in reading.frames] == [1.0, 2.0]
    reasons = {part.part: part.reason for part in reading.ignored}
    assert set(reasons) == {"ERR,1", "DQ,1", "ERR,2", "DQ,2", "LOG"}
    assert reasons["DQ,1"] == "data-quality flags, not an image of the sky"


def test_extensions_of_one_name_are_told_apart_by_number(tmp_path: Path) -> None:
    twice = [fits.ImageHDU(RAMP, name="CUTOUT"), fits.ImageHDU(RAMP, name="CUTOUT")]
    reading = read(write(tmp_path / "a.fits", fits.PrimaryHDU(), *twice))
    assert [frame.origin.part for frame in reading.frames] == ["CUTOUT#1", "CUTOUT#2"]


def test_a_cube_gives_its_first_plane_another_or_the_median(tmp_path: Path) -> None:
    cube = np.stack([RAMP, RAMP + 10, RAMP + 100])
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(), fits.ImageHDU(cube, name="SCI"))
    first = read(path)
    assert only(first).origin.part == "SCI[0/3]"
    assert [part.part for part in first.ignored] == ["SCI[1-2/3]"]
    second, stack = only(read(path, plane=1)), only(read(path, plane="stack"))
    assert (second.origin.part, second.pixels[0, 0]) == ("SCI[1/3]", 10.0)
    assert (stack.origin.part, stack.pixels[0, 0]) == ("SCI[median of 3]", 10.0)
    with pytest.raises(FrameError, match="SCI has planes 0 to 2, got 3"):
        read(path, plane=3)


def test_chips_of_a_mosaic_camera_are_frames_of_their_own(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU(np.stack([RAMP] * 4))
    primary.header.update({"INSTRUME": "WFPC2", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    primary.header.update({"CRVAL1": 10.0, "CRVAL2": 20.0, "CD1_1": -1e-4, "CD2_2": 1e-4})
    reading = read(write(tmp_path / "a.fits", primary))
    assert [frame.origin.part for frame in reading.frames] == [
        f"PRIMARY[{chip}/4]" for chip in range(4)
    ]
    assert not reading.ignored
    # The header's WCS is the first chip's; nothing says where the others point.
    assert [frame.origin.ra_deg is None for frame in reading.frames] == [False, True, True, True]


def test_unsigned_integers_scale_and_blank(tmp_path: Path) -> None:
    image = np.array([[0, 40000], [65535, 1]], dtype=np.uint16)
    unsigned = only(read(write(tmp_path / "u.fits", fits.PrimaryHDU(image))))
    assert unsigned.sample_type == "uint16"
    assert unsigned.pixels.tolist() == image.tolist()

    scaled = fits.PrimaryHDU(np.array([[1, 2], [3, -99]], dtype=np.int16))
    scaled.header["BLANK"] = -99
    path = write(tmp_path / "s.fits", scaled)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as units:
        units[0].header["BSCALE"] = 0.5
        units[0].header["BZERO"] = 100.0
    frame = only(read(path))
    assert frame.sample_type == "int16"
    assert frame.pixels[~frame.mask].tolist() == [100.5, 101.0, 101.5]
    assert frame.mask.tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float64"])
def test_sample_types_are_those_of_the_file(tmp_path: Path, dtype: str) -> None:
    frame = only(read(write(tmp_path / "a.fits", fits.PrimaryHDU(RAMP.astype(dtype)))))
    assert frame.sample_type == dtype
    assert np.array_equal(frame.pixels, RAMP)


def test_nan_is_masked_and_an_empty_image_beside_a_good_one_is_ignored(tmp_path: Path) -> None:
    holes = RAMP.copy()
    holes[1, 2] = np.nan
    empty = fits.ImageHDU(np.full((3, 4), np.nan, dtype=np.float32), name="EMPTY")
    reading = read(write(tmp_path / "a.fits", fits.PrimaryHDU(holes), empty))
    assert np.argwhere(only(reading).mask).tolist() == [[1, 2]]
    assert [(part.part, part.reason) for part in reading.ignored] == [("EMPTY", "no finite pixel")]


def test_what_the_headers_state_becomes_the_origin(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU()
    facts = {"INSTRUME": "ACS", "EXPTIME": 60.0, "DATE-OBS": "2002-04-13", "TIME-OBS": "12:00:00"}
    primary.header.update(facts | {"FILTER1": "CLEAR1S", "FILTER2": "F606W", "CCDGAIN": 2.0})
    image = fits.ImageHDU(RAMP, name="SCI")
    image.header.update({"BUNIT": "ELECTRONS", "RDNOISE": 4.5, "CTYPE1": "RA---TAN"})
    image.header.update({"CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 2.5})
    image.header.update({"CRPIX2": 2.0, "CD1_1": -1e-4, "CD2_2": 1e-4, "CD1_2": 0.0, "CD2_1": 0.0})
    frame = only(read(write(tmp_path / "a.fits", primary, image)))
    origin = frame.origin
    assert (origin.instrument, origin.band, origin.exposure_s) == ("ACS", "F606W", 60.0)
    assert (origin.gain_e_per_adu, origin.read_noise_e, frame.unit) == (2.0, 4.5, "electron")
    assert origin.mjd == pytest.approx(52377.5)
    assert (origin.ra_deg, origin.dec_deg) == pytest.approx((150.0, 2.0), abs=1e-9)


def test_a_wcs_survives_distortion_tables_in_other_extensions(tmp_path: Path) -> None:
    image = fits.ImageHDU(RAMP, name="SCI")
    image.header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 5.0})
    image.header.update({"CD1_1": -1e-5, "CD2_2": 1e-5, "CPDIS1": "LOOKUP", "D2IMDIS1": "LOOKUP"})
    image.header.update({"DP1.EXTVER": 1.0, "D2IM1.EXTVER": 1.0})
    tables = [fits.ImageHDU(RAMP, name="WCSDVARR"), fits.ImageHDU(RAMP, name="D2IMARR")]
    reading = read(write(tmp_path / "a.fits", fits.PrimaryHDU(), image, *tables))
    assert only(reading).origin.ra_deg == pytest.approx(10.0, abs=0.001)
    assert [part.part for part in reading.ignored] == ["WCSDVARR", "D2IMARR"]


@pytest.mark.parametrize(
    "card",
    [
        ("EXPTIME", "long"),
        ("EXPTIME", -1.0),
        ("DATE-OBS", "2002-04-13"),
        ("DATE-OBS", "yesterdayT"),
        ("GAIN", 0.0),
        ("INSTRUME", "   "),
        ("FILTER1", 33),
    ],
)
def test_what_is_not_properly_stated_stays_unknown(
    tmp_path: Path, card: tuple[str, str | float]
) -> None:
    image = fits.PrimaryHDU(RAMP)
    image.header[card[0]] = card[1]
    origin = only(read(write(tmp_path / "a.fits", image))).origin
    unknown = (origin.exposure_s, origin.mjd, origin.gain_e_per_adu, origin.instrument, origin.band)
    assert unknown == (None,) * 5


def pixel_table(quality: list[int], aperture: bool = True) -> list[fits.BinTableHDU]:
    rows = len(quality)
    flux = np.stack([RAMP + 10 * row for row in range(rows)])
    flux[0, 0, 0] = np.nan
    columns = [
        fits.Column("TIME", "D", array=np.arange(rows)),
        fits.Column("FLUX", "12E", dim="(4,3)", unit="e-/s", array=flux),
        fits.Column("QUALITY", "J", array=quality),
    ]
    units = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="PIXELS")]
    if aperture:
        mask = fits.ImageHDU(np.ones((3, 4), dtype=np.int32), name="APERTURE")
        mask.header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0})
        mask.header.update({"CRVAL2": -5.0, "CDELT1": -1e-3, "CDELT2": 1e-3})
        units.append(mask)
    return units


def test_a_target_pixel_table_gives_the_median_of_its_good_cadences(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", *pixel_table([0, 0, 128, 0]))
    reading = read(path)
    frame = only(reading)
    assert frame.origin.part == "PIXELS.FLUX[median of 3/4]"
    assert (frame.unit, frame.sample_type) == ("electron/s", "float32")
    # Rows 0, 1 and 3 add 0, 10 and 30; the first pixel is NaN in row 0: median of 10 and 30.
    assert frame.pixels[1, 1] == RAMP[1, 1] + 10
    assert frame.pixels[0, 0] == 20
    assert frame.origin.ra_deg == pytest.approx(10.0, abs=0.01)
    assert [part.part for part in reading.ignored] == ["APERTURE"]


def test_a_single_cadence_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", *pixel_table([0, 0, 128, 0], aperture=False))
    frame = only(read(path, plane=2))
    assert (frame.origin.part, frame.pixels[0, 0]) == ("PIXELS.FLUX[2/4]", 20.0)
    assert frame.wcs is None
    with pytest.raises(FrameError, match="planes 0 to 3, got -1"):
        read(path, plane=-1)


def test_reading_does_not_warn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    image = fits.PrimaryHDU(RAMP)
    image.header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "DATE-OBS": "31/12/99"})
    read(write(tmp_path / "a.fits", image))
    assert not recwarn.list
