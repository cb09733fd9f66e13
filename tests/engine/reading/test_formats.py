from __future__ import annotations

from pathlib import Path

import pytest

from engine.reading import image_suffix


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.fits", ".fits"),
        ("a.FIT", ".fit"),
        ("a.fts", ".fts"),
        ("a.b.fits.gz", ".fits.gz"),
        ("a.fits.fz", ".fits.fz"),
        ("a.png", ".png"),
        ("a.TIFF", ".tiff"),
        ("a.tif", ".tif"),
        ("a.jpg", ".jpg"),
        ("a.jpeg", ".jpeg"),
        ("a.txt", None),
        ("a.tar.gz", None),
        ("a.gz", None),
        ("fits", None),
        (".hidden.fits", None),
        ("a.fits.part", None),
    ],
)
def test_image_names(name: str, suffix: str | None) -> None:
    assert image_suffix(Path("folder") / name) == suffix
