from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import FrameError
from engine.reading import image_suffix, read_frames

pytestmark = pytest.mark.data


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tess", "cosmicrays", "galaxies/gz_examples", "ztf"])
def test_every_file_gives_frames_or_says_why_not(
    data_root: Path, folder: str, recwarn: pytest.WarningsRecorder
) -> None:
    read, refused = 0, []
    for path in sorted((data_root / folder).iterdir())[:60]:
        try:
            frames = read_frames(path, source="test").frames
        except FrameError as error:
            refused.append((path.name, str(error)))
        else:
            read += len(frames)
            assert all(frame.wcs is None or frame.origin.ra_deg is not None for frame in frames)
    assert read > 0 or folder == "ztf"
    images = [name for name, _ in refused if image_suffix(Path(name))]
    assert images in ([], ["psfmachine_shape_model_ffi.fits"])
    assert not recwarn.list


def test_four_chips_of_wfpc2_point_at_four_places(data_root: Path) -> None:
    frames = read_frames(data_root / "cosmicrays" / "u40x010hm_c0f.fits", source="hst").frames
    assert [frame.origin.part for frame in frames] == [f"PRIMARY[{chip}/4]" for chip in range(4)]
    assert len({(frame.origin.ra_deg, frame.origin.dec_deg) for frame in frames}) == 4
    assert {frame.pixels.shape for frame in frames} == {(800, 800)}


def test_an_hst_exposure_says_what_its_header_says(data_root: Path) -> None:
    reading = read_frames(data_root / "cosmicrays" / "j8bt06nyq_flt.fits", source="hst")
    (frame,) = reading.frames
    assert (frame.unit, frame.origin.band, frame.origin.exposure_s) == ("electron", "F606W", 60.0)
    assert (frame.origin.ra_deg, frame.origin.dec_deg) == pytest.approx((6.027, -72.083), abs=0.01)
    assert [part.part for part in reading.ignored] == ["ERR", "DQ"]


def test_lossless_pictures_keep_their_depth(data_root: Path) -> None:
    folder = data_root / "mars" / "full_lossless"
    depths = {
        read_frames(path, source="mars").frames[0].sample_type
        for path in sorted(folder.glob("*navcam*.png")) + sorted(folder.glob("galileo*.png"))[:2]
    }
    assert depths == {"uint16", "uint8"}
