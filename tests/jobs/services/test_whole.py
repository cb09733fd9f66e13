"""Half a file is noticed whatever its kind, wherever it was cut."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.services import PassingFailure, check_whole
from jobs.services.whole import Kind, fits_fault


def fits_file(*, table: bool = False) -> bytes:
    units: list[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU] = [
        fits.PrimaryHDU(np.zeros((9, 11), np.int16)), fits.ImageHDU(np.ones((70, 70), np.float32)),
    ]  # fmt: skip
    if table:
        column = fits.Column("FLUX", "9E", array=np.zeros((5, 9)), dim="(3,3)")
        units.append(fits.BinTableHDU.from_columns([column]))
    stream = io.BytesIO()
    fits.HDUList(units).writeto(stream)
    return stream.getvalue()


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(stream, kind)
    return stream.getvalue()


def packed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as into:
        into.writestr("a.fits", fits_file())
    return stream.getvalue()


WHOLE: dict[Kind, bytes] = {
    "fits": fits_file(table=True),
    "jpeg": picture("JPEG"),
    "png": picture("PNG"),
    "gif": picture("GIF"),
    "zip": packed(),
    "votable": b'<?xml version="1.0"?><VOTABLE version="1.4"><RESOURCE/></VOTABLE>\n',
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_file_is_taken(kind: Kind) -> None:
    check_whole(WHOLE[kind], kind)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif"])
def test_a_picture_may_be_any_of_three(kind: Kind) -> None:
    check_whole(WHOLE[kind], "picture")
    with pytest.raises(PassingFailure, match="whole PICTURE file"):
        check_whole(WHOLE[kind][:-20], "picture")


@given(st.sampled_from(list(WHOLE)), st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_not(kind: Kind, share: float) -> None:
    content = WHOLE[kind].rstrip(b"\n")
    with pytest.raises(PassingFailure, match="expected a whole"):
        check_whole(content[: int(share * len(content))], kind)


@pytest.mark.parametrize("kind", WHOLE)
def test_an_error_page_is_not(kind: Kind) -> None:
    with pytest.raises(PassingFailure, match="begin with b'<html>"):
        check_whole(b"<html><body>Too many requests</body></html>", kind)


@pytest.mark.data
def test_real_files_of_many_shapes_are_whole(data_root: Path) -> None:
    paths = sorted((data_root / "tess").glob("*.fits"))
    assert len(paths) > 20
    assert {path.name: fits_fault(path.read_bytes()) for path in paths} == {
        path.name: "" for path in paths
    }
