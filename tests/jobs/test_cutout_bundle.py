"""The bundle of cutouts: pixels, places and table as FITS gives them back."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from db.queries import anomalies
from db.queries.wanted import Wanted
from db.store import Store
from engine.finder import bar_arcsec, compass, cutout_wcs
from engine.frame import Frame, Origin
from jobs.cutout_bundle import export_cutouts, extensions, write_bundle
from jobs.errors import UsageError
from tests.jobs.stubs import InlineWorkers
from tests.store_factory import fill


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("night")) as store:
        fill(store, frames=3, per_frame=2)
        yield store


def sky_frame() -> Frame:
    """A frame of 40 x 60 px, 2 arcsec each, turned by 30 degrees."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 20.0], [30.5, 20.5]
    turn, scale = math.radians(30), 2 / 3600
    wcs.wcs.cd = scale * np.array(
        [[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    pixels = np.arange(2400, dtype=np.float32).reshape(40, 60)
    mask = np.zeros((40, 60), dtype=bool)
    mask[10, 12] = True
    origin = Origin("folder:/t", "söme\nthing")
    return Frame.of(pixels, origin, mask=mask, unit="adu", header=wcs.to_header().tostring())


def opened(content: bytes) -> fits.HDUList:
    """Extensions behind an empty primary."""
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU()]).writeto(stream)
    return fits.open(io.BytesIO(stream.getvalue() + content))


def row(x: float, y: float, size: int) -> dict[str, object]:
    return {"detection_id": "d" * 20, "object_id": "söme\nthing", "verdict": "candidate",
            "p_value": 0.01, "snr": None, "frame_digest": "f", "x": x, "y": y,
            "size_px": size}  # fmt: skip


def test_a_cutout_keeps_pixels_masks_and_the_sky() -> None:
    frame = sky_frame()
    with opened(extensions(frame, [row(12.4, 10.0, 8)])) as read:
        hdu = read[1]
        assert hdu.name == f"CUT_{'D' * 16}"
        assert hdu.data.shape == (8, 8)
        # Columns 9..16 and rows 6..13 of the frame.
        assert hdu.data[0, 0] == 6 * 60 + 9
        assert np.isnan(hdu.data[4, 3])
        assert hdu.header["OBJECT"] == "s?me?thing"
        assert hdu.header["PVALUE"] == 0.01
        assert "SNR" not in hdu.header
        there = WCS(hdu.header).pixel_to_world(3.4, 4.0)
    assert frame.wcs is not None
    here = frame.wcs.pixel_to_world(12.4, 10.0)
    assert here.separation(there).arcsec < 1e-6


def test_what_lies_beyond_the_frame_is_nan() -> None:
    with opened(extensions(sky_frame(), [row(1.0, 1.0, 8)])) as read:
        data = read[1].data
    assert np.isnan(data[:3]).all()
    assert data[3, 3] == 0.0


@pytest.mark.slow
def test_a_bundle_has_the_list_and_a_cutout_for_each_row(night: Store, tmp_path: Path) -> None:
    table = anomalies.listed(night)
    steps: list[tuple[int, int]] = []
    told = write_bundle(
        night, InlineWorkers(), table, tmp_path / "b.fits", progress=lambda *s: steps.append(s)
    )
    assert (told["rows"], told["cutouts"], told["without_pixels"]) == (4, 4, 0)
    assert steps[-1] == (4, 4)
    with fits.open(tmp_path / "b.fits") as read:
        read.verify("exception")
        catalogue = read["CATALOG"].data
        ids = [str(value) for value in catalogue["detection_id"]]
        assert ids == table.column("detection_id").to_pylist()
        for name, extension in zip(ids, catalogue["cutout"], strict=True):
            assert read[str(extension)].header["DETID"] == name
        p_values = [None if np.isnan(v) else float(v) for v in catalogue["p_value"]]
        assert p_values == table.column("p_value").to_pylist()
        assert len(read) == 2 + 4


@pytest.mark.slow
def test_an_export_request_keeps_the_ten_newest_files(night: Store, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    for number in range(11):
        (tmp_path / "exports" / f"old-{number}.fits").touch()
    request = {"request_id": "r", "payload": {"verdict": "candidate"}}
    told = export_cutouts(night, InlineWorkers(), tmp_path, request, lambda _d, _t: None)
    assert told["rows"] == anomalies.count_of(night, Wanted(verdicts=("candidate",)))
    kept = {path.name for path in (tmp_path / "exports").iterdir()}
    assert len(kept) == 10
    assert "r.fits" in kept
    with pytest.raises(UsageError, match="nothing fits"):
        export_cutouts(
            night, InlineWorkers(), tmp_path,
            {"request_id": "none", "payload": {"q": "no such thing"}}, lambda _d, _t: None,
        )  # fmt: skip


def test_the_compass_follows_the_frame() -> None:
    frame = sky_frame()
    assert frame.wcs is not None
    found = compass(frame.wcs, 29.5, 19.5)
    assert found is not None
    assert found.arcsec_per_px == pytest.approx(2.0)
    # CD = scale * [[-cos, sin], [sin, cos]]: north is (sin 30, cos 30), east (-cos 30, sin 30).
    assert found.north == pytest.approx((0.5, 0.75**0.5), abs=1e-4)
    assert found.east == pytest.approx((-(0.75**0.5), 0.5), abs=1e-4)
    assert cutout_wcs(Frame.of(np.ones((4, 4)), Origin("s", "o")), 1, 1, 2) is None


@pytest.mark.parametrize(("field", "bar"), [(96.0, 30), (10.0, 2), (0.1, 0.1), (1e6, 7200)])
def test_the_bar_is_round_and_fits(field: float, bar: float) -> None:
    assert bar_arcsec(field) == bar
