from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import EmptyFrame, FrameError, FrameTooLarge, UnreadableFile
from engine.reading import Limits, Reading, read_frames

CARD = "{:<8}= {:>20}"


def read(path: Path, limits: Limits | None = None) -> Reading:
    return read_frames(path, source="test", limits=limits or Limits())


def fits_header(*axes: int, bitpix: int = -32) -> bytes:
    cards = [CARD.format("SIMPLE", "T"), CARD.format("BITPIX", bitpix)]
    cards.append(CARD.format("NAXIS", len(axes)))
    cards += [CARD.format(f"NAXIS{number}", axis) for number, axis in enumerate(axes, 1)]
    text = "".join(f"{card:<80}" for card in [*cards, "END"])
    return text.ljust(2880).encode()


def image_file(path: Path, pixels: np.ndarray) -> Path:
    fits.PrimaryHDU(pixels).writeto(path)
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be opened"):
        read(tmp_path / "absent.fits")
    with pytest.raises(UnreadableFile, match="cannot be opened"):
        read(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.fits").touch()
    with pytest.raises(UnreadableFile, match=r"a\.fits is empty: fetch it again"):
        read(tmp_path / "a.fits")


def test_a_text_file_named_fits(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_text("<html>404 not found</html>")
    with pytest.raises(UnreadableFile, match="is not a FITS, PNG, TIFF or JPEG image"):
        read(tmp_path / "a.fits")


@pytest.mark.parametrize("kept", [10, 80, 2879, 2880, 2881, 5000])
def test_a_truncated_fits_file(tmp_path: Path, kept: int) -> None:
    whole = image_file(tmp_path / "a.fits", np.ones((40, 40), dtype=np.float32)).read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:kept])
    with pytest.raises(UnreadableFile, match=r"cut\.fits"):
        read(tmp_path / "cut.fits")


def test_a_truncated_gzip_file(tmp_path: Path) -> None:
    whole = image_file(tmp_path / "a.fits", np.random.default_rng(0).normal(size=(40, 40)))
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(whole.read_bytes())[:-500])
    with pytest.raises(UnreadableFile, match="broken gzip file"):
        read(tmp_path / "a.fits.gz")


def test_an_image_of_nan_only(tmp_path: Path) -> None:
    path = image_file(tmp_path / "a.fits", np.full((4, 4), np.nan))
    with pytest.raises(EmptyFrame, match="holds no finite pixel"):
        read(path)


def test_one_pixel_is_an_image(tmp_path: Path) -> None:
    frame = read(image_file(tmp_path / "a.fits", np.array([[7.0]]))).frames[0]
    assert frame.pixels.tolist() == [[7.0]]


def test_a_file_without_images_says_what_it_holds(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])], name="LOG")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    with pytest.raises(UnreadableFile, match=r"no image of the sky \(LOG: a table"):
        read(tmp_path / "a.fits")
    fits.PrimaryHDU(np.arange(9.0)).writeto(tmp_path / "line.fits")
    with pytest.raises(UnreadableFile, match="PRIMARY: one-dimensional"):
        read(tmp_path / "line.fits")


def test_a_target_pixel_table_without_a_good_cadence(tmp_path: Path) -> None:
    columns = [
        fits.Column("FLUX", "4E", dim="(2,2)", array=np.ones((2, 2, 2))),
        fits.Column("QUALITY", "J", array=[1, 2]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    with pytest.raises(EmptyFrame, match="no finite pixel in a cadence with QUALITY 0"):
        read(tmp_path / "a.fits")


@pytest.mark.parametrize("axes", [(25_000, 20_000), (1_000_000, 1_000_000), (200, 200, 10_000_000)])
def test_huge_claims_without_pixels_are_refused_before_allocating(
    tmp_path: Path, axes: tuple[int, ...]
) -> None:
    (tmp_path / "a.fits").write_bytes(fits_header(*axes))
    tracemalloc.start()
    with pytest.raises(FrameTooLarge, match="cut it into smaller"):
        read(tmp_path / "a.fits")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_gzip_bomb_is_unpacked_to_the_limit_only(tmp_path: Path) -> None:
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(bytes(100_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(FrameTooLarge, match="unpacked, holds"):
        read(tmp_path / "a.fits.gz", Limits(max_bytes=5_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(11_000, 10_000), (50_000, 50_000)])
def test_a_picture_that_claims_too_much_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(png_claiming(*size))
    with pytest.raises(FrameTooLarge, match=r"a\.png"):
        read(tmp_path / "a.png")


def test_limits_are_the_callers(tmp_path: Path) -> None:
    path = image_file(tmp_path / "a.fits", np.ones((30, 30)))
    with pytest.raises(FrameTooLarge, match="declares 900 pixels, at most 899"):
        read(path, Limits(max_pixels=899))
    with pytest.raises(FrameTooLarge, match=r"a\.fits holds .* bytes"):
        read(path, Limits(max_bytes=1000))
    assert read(path, Limits(max_pixels=900)).frames


@pytest.mark.parametrize("kept", [9, 30, 60, -40])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_truncated_picture(tmp_path: Path, suffix: str, kept: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole{suffix}")
    (tmp_path / f"cut{suffix}").write_bytes((tmp_path / f"whole{suffix}").read_bytes()[:kept])
    with pytest.raises(UnreadableFile, match=f"cut{suffix}"):
        read(tmp_path / f"cut{suffix}")


SEEDS = {
    "fits": fits_header(8, 8) + np.arange(64, dtype=">f4").tobytes().ljust(2880, b"\0"),
    "png": png_claiming(20, 20),
}


@pytest.mark.parametrize("kind", SEEDS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(damage=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=12))
def test_damage_never_raises_anything_but_a_frame_error(
    tmp_path: Path, kind: str, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(SEEDS[kind])
    for place, value in damage:
        content[place % min(len(content), 700)] = value
    (tmp_path / "a").write_bytes(content)
    with contextlib.suppress(FrameError):
        reading = read(tmp_path / "a", Limits(max_pixels=10_000_000, max_bytes=100_000_000))
        assert all(frame.digest for frame in reading.frames)
