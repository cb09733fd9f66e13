"""A simulated night: frames of sky and of ground that can each be made again alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from engine.frame import Frame, Origin
from engine.sky.conditions import FieldConditions
from engine.sky.field import simulate_field
from engine.sky.terrain import terrain
from engine.sky.truth import Truth

PIXEL_SCALE_ARCSEC = 0.4
CAMERA = "simulated CCD"
ROVER_CAMERA = "simulated rover camera"
ROVER = "rover"
BANDS = ("g", "r", "i")
MJD_OF_ORDINAL_ZERO = -678_576


@dataclass(frozen=True)
class SimulatedFrame:
    """A frame as a source would deliver it, with its truth."""

    frame: Frame
    truth: Truth


def simulated_night(
    night: str, *, frames: int = 48, terrain: int = 4, size: int = 256
) -> Iterator[SimulatedFrame]:
    """Yield the sky frames of a night, then its frames from a rover's camera."""
    for index in range(frames):
        yield simulated_frame(night, index, size=size)
    for index in range(terrain):
        yield simulated_rover_frame(night, index, size=size)


def simulated_frame(night: str, index: int, *, size: int = 256) -> SimulatedFrame:
    """Make one sky frame of a night; the same arguments give the same frame on its own.

    Its pixels are float32 electrons, its header holds a TAN WCS and the observing facts.
    """
    rng = _generator(night, index, "sky")
    conditions = night_conditions(rng, size)
    origin = _observation(rng, night, index, conditions)
    image = simulate_field(rng, conditions)
    header = _header(origin, conditions, rotation=float(rng.uniform(0, 2 * np.pi)))
    frame = Frame.of(image.pixels, origin, unit="electron", sample_type="float32", header=header)
    return SimulatedFrame(frame, image.truth)


def simulated_rover_frame(night: str, index: int, *, size: int = 256) -> SimulatedFrame:
    """Make one 8-bit ground frame of a night; it has no unit, no WCS and an empty truth."""
    rng = _generator(night, index, ROVER)
    pixels = np.rint(terrain(rng, (size, size))).astype(np.uint8)
    origin = Origin(
        source=f"sim:{night}",
        object_id=f"{night}-{ROVER}-{index:04d}",
        uri=f"sim:{night}/{ROVER}/{index}",
        mjd=_first_mjd(night) + index / 24.0,
        instrument=ROVER_CAMERA,
    )
    nothing = np.zeros(pixels.shape, dtype=np.bool_)
    return SimulatedFrame(Frame.of(pixels, origin), Truth(nothing, nothing, ()))


def simulated_again(object_id: str, *, size: int = 256) -> SimulatedFrame:
    """Make the frame with this object id again. Raises ValueError on an id of no night."""
    night, _, number = object_id.rpartition("-")
    if not (night and number.isdecimal()):
        raise ValueError(f"expected NIGHT-0000 or NIGHT-{ROVER}-0000, got {object_id!r}")
    if night.endswith(f"-{ROVER}"):
        return simulated_rover_frame(night.removesuffix(f"-{ROVER}"), int(number), size=size)
    return simulated_frame(night, int(number), size=size)


def night_conditions(rng: np.random.Generator, size: int) -> FieldConditions:
    """Draw the conditions of one frame of a good night: five to eight bright galaxies."""
    area = (size / 256) ** 2
    return FieldConditions(
        size=size,
        fwhm_px=float(rng.uniform(1.8, 2.6)),
        moffat_beta=float(rng.uniform(2.8, 4.5)),
        background_e=float(rng.uniform(80, 300)),
        background_gradient=float(rng.uniform(0, 0.2)),
        read_noise_e=5.0,
        gain_e_per_adu=1.5,
        exposure_s=120.0,
        n_stars=int(rng.poisson(22 * area)),
        n_galaxies=round(int(rng.integers(5, 9)) * area),
        cosmic_ray_rate=float(rng.uniform(200, 700)),
        n_hot_columns=int(rng.random() < 0.1),
        n_trails=int(rng.random() < 0.1),
    )


def _generator(night: str, index: int, stream: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{stream}|{night}".encode()).digest()
    return np.random.default_rng([int.from_bytes(digest[:8], "big"), index])


def _first_mjd(night: str) -> float:
    """Evening of the night where its name is a date, else a date of its own from its name."""
    try:
        day = date.fromisoformat(night).toordinal() + MJD_OF_ORDINAL_ZERO
    except ValueError:
        day = 60_000 + int(hashlib.sha256(night.encode()).hexdigest()[:8], 16) % 1000
    return day + 0.9


def _observation(
    rng: np.random.Generator, night: str, index: int, conditions: FieldConditions
) -> Origin:
    return Origin(
        source=f"sim:{night}",
        object_id=f"{night}-{index:04d}",
        uri=f"sim:{night}/sky/{index}",
        ra_deg=float(rng.uniform(0, 360)),
        dec_deg=float(np.degrees(np.arcsin(rng.uniform(-0.85, 0.85)))),
        mjd=_first_mjd(night) + index * (conditions.exposure_s + 30.0) / 86_400.0,
        band=str(rng.choice(BANDS)),
        exposure_s=conditions.exposure_s,
        instrument=CAMERA,
        gain_e_per_adu=conditions.gain_e_per_adu,
        read_noise_e=conditions.read_noise_e,
    )


def _header(origin: Origin, conditions: FieldConditions, rotation: float) -> str:
    """FITS cards with a TAN projection about the frame's centre (Calabretta & Greisen 2002)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [origin.ra_deg, origin.dec_deg]
    wcs.wcs.crpix = [(conditions.size + 1) / 2, (conditions.size + 1) / 2]
    scale = PIXEL_SCALE_ARCSEC / 3600.0
    cos, sin = scale * np.cos(rotation), scale * np.sin(rotation)
    wcs.wcs.cd = [[-cos, sin], [sin, cos]]
    header = wcs.to_header()
    cards: dict[str, str | float | None] = {
        "OBJECT": origin.object_id,
        "INSTRUME": origin.instrument,
        "FILTER": origin.band,
        "EXPTIME": origin.exposure_s,
        "MJD-OBS": origin.mjd,
        "DATE-OBS": Time(origin.mjd, format="mjd").isot,
        "GAIN": origin.gain_e_per_adu,
        "RDNOISE": origin.read_noise_e,
        "BUNIT": "electron",
    }
    header.update(cards)
    return str(fits.Header(header).tostring(sep="", endcard=False, padding=False))
