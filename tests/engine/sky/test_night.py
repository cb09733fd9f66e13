from __future__ import annotations

import numpy as np
import pytest

from engine.sky import simulated_again, simulated_frame, simulated_night, simulated_rover_frame
from engine.sky.truth import ANOMALY_KINDS, GALAXY_KINDS


def test_a_frame_can_be_made_again_alone() -> None:
    night = list(simulated_night("2026-03-01", frames=3, terrain=1, size=96))
    for simulated in night:
        again = simulated_again(simulated.frame.origin.object_id, size=96)
        assert again.frame.digest == simulated.frame.digest
        assert again.frame.origin == simulated.frame.origin
        assert np.array_equal(again.truth.cosmic_rays, simulated.truth.cosmic_rays)
        assert again.truth.objects == simulated.truth.objects


def test_frames_and_nights_differ() -> None:
    digests = {
        simulated_frame(night, index, size=64).frame.digest
        for night in ("demo", "2026-03-01")
        for index in range(3)
    }
    assert len(digests) == 6


def test_a_sky_frame_says_what_a_telescope_would() -> None:
    frame = simulated_frame("2026-03-01", 7, size=64).frame
    assert frame.origin.source == "sim:2026-03-01"
    assert frame.origin.object_id == "2026-03-01-0007"
    assert (frame.unit, frame.sample_type) == ("electron", "float32")
    # 2026-03-01 is MJD 61100; the first frame starts at 0.9 of the day, one every 150 s.
    assert frame.origin.mjd == pytest.approx(61100.9 + 7 * 150 / 86400)
    stated = (frame.origin.gain_e_per_adu, frame.origin.read_noise_e, frame.origin.exposure_s)
    assert stated == (1.5, 5.0, 120.0)


def test_the_header_has_a_tan_projection_about_the_middle() -> None:
    frame = simulated_frame("demo", 0, size=64).frame
    wcs = frame.wcs
    assert wcs is not None
    assert list(wcs.wcs.ctype) == ["RA---TAN", "DEC--TAN"]
    ra, dec = wcs.all_pix2world(31.5, 31.5, 0)
    assert (float(ra), float(dec)) == pytest.approx((frame.origin.ra_deg, frame.origin.dec_deg))
    # One pixel is 0.4 arcsec; its area follows from the determinant of the CD matrix.
    area = abs(np.linalg.det(wcs.pixel_scale_matrix)) * 3600**2
    assert area == pytest.approx(0.16, rel=1e-6)


def test_a_rover_frame_is_eight_bit_ground_without_sky() -> None:
    simulated = simulated_rover_frame("demo", 2, size=64)
    frame = simulated.frame
    assert (frame.sample_type, frame.unit, frame.header, frame.wcs) == ("uint8", "", "", None)
    assert frame.origin.object_id == "demo-rover-0002"
    assert (frame.pixels == np.rint(frame.pixels)).all()
    assert 0 <= frame.pixels.min() < frame.pixels.max() <= 255
    assert not simulated.truth.objects


def test_a_night_holds_enough_galaxies_and_a_few_rare_ones() -> None:
    objects = [
        thing
        for simulated in simulated_night("demo", terrain=0)
        for thing in simulated.truth.objects
        if thing.kind in {*GALAXY_KINDS, *ANOMALY_KINDS}
    ]
    assert len(objects) >= 150
    assert 0.01 < np.mean([thing.is_anomaly for thing in objects]) < 0.12


@pytest.mark.parametrize("object_id", ["", "demo", "-0001", "demo-x"])
def test_an_id_of_no_night_is_refused(object_id: str) -> None:
    with pytest.raises(ValueError, match="expected NIGHT-0000"):
        simulated_again(object_id)
