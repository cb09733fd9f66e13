"""The chips of a file, read in bands of rows, and what ERR, DQ and SATURATE say of them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from engine.cosmicrays.flags import SATURATED, bad_flags_of
from engine.cosmicrays.scaling import NoiseScale, read_noise_floor
from engine.errors import NotApplicable
from engine.frame import Frame, Mask, Origin, Pixels
from engine.reading import read_frames
from engine.reading.context import header_text, merged_header, observed, unit_of
from engine.reading.fitsfile import COMPANIONS
from engine.reading.images import physical, sample_type_of

Flags = NDArray[np.int32]

WHOLE_PIXELS = 2**25
SAMPLE_BLOCK_PX = 128
SAMPLE_BLOCKS_A_SIDE = 16
HASH_ROWS = 256


@dataclass(frozen=True)
class Band:
    """Some rows of a chip: `pixels` float32, `bad` bool and the input's `flags`, all (h, W)."""

    pixels: Pixels
    bad: Mask
    flags: Flags


@dataclass(frozen=True)
class Chip:
    """One image of a file, whose rows are read when they are asked for.

    `read(rows, columns)` gives that window. `header` is FITS header text and `first_header` that
    of the file's first unit; `frame` stands in for the facts that a Frame derives from a header.
    """

    part: str
    shape: tuple[int, int]
    planes: int
    sample_type: str
    unit: str
    origin: Origin
    header: str
    first_header: str
    read: Callable[[slice, slice], Band]

    @property
    def wcs(self) -> WCS | None:
        """The celestial WCS of the header, or None where there is none."""
        return self._stand_in().wcs

    @property
    def sample_bits(self) -> int:
        """Bits per stored sample, as Frame has it."""
        return self._stand_in().sample_bits

    def rows(self, rows: slice) -> Band:
        """Some rows, whole."""
        return self.read(rows, slice(0, self.shape[1]))

    def scale(self) -> NoiseScale:
        """Background and noise of the chip.

        Of all pixels up to 2^25 of them, and of 16 x 16 blocks of 128 x 128 pixels spread evenly
        over a larger chip. Raises NotApplicable where the noise is degenerate or nothing is good.
        """
        floor = read_noise_floor(self.unit, self.origin)
        good = [band.pixels[~band.bad] for band in self._sample()]
        pixels = good[0] if len(good) == 1 else np.concatenate(good)
        if not pixels.size:
            raise NotApplicable("no good pixel in this image: check its DQ flags, or --bad-flags")
        return NoiseScale.of(pixels, None, floor)

    def _sample(self) -> Iterator[Band]:
        height, width = self.shape
        if height * width <= WHOLE_PIXELS:
            yield self.rows(slice(0, height))
            return
        for top in _block_starts(height):
            for left in _block_starts(width):
                rows, columns = (
                    slice(top, top + SAMPLE_BLOCK_PX),
                    slice(left, left + SAMPLE_BLOCK_PX),
                )
                yield self.read(rows, columns)

    def digest(self) -> str:
        """The digest of the Frame that the chip would be, found band by band."""
        hasher = hashlib.sha256()
        hasher.update(f"{self.sample_type}|{self.shape}|{self.unit}|".encode())
        packed: list[bytes] = []
        for start in range(0, self.shape[0], HASH_ROWS):
            band = self.rows(slice(start, min(start + HASH_ROWS, self.shape[0])))
            hasher.update(
                np.where(band.bad, np.float32(np.nan), band.pixels).astype("<f4").tobytes()
            )
            packed.append(np.packbits(band.bad).tobytes())
        hasher.update(b"".join(packed))
        return hasher.hexdigest()

    def _stand_in(self) -> Frame:
        """A frame of one pixel with this chip's header."""
        return Frame.of(
            np.zeros((1, 1), np.float32),
            self.origin,
            sample_type=self.sample_type,
            header=self.header,
        )


@dataclass(frozen=True)
class ChipFile:
    """The chips of one file, and the parts that are none with the reason."""

    chips: tuple[Chip, ...]
    ignored: dict[str, str]


@contextmanager
def open_chips(path: Path, *, bad_flags: int | None = None) -> Iterator[ChipFile]:
    """Open the chips of an image file; close it after the last band is read.

    Plain two-dimensional FITS images are read by rows whatever their size, everything else as
    `read_frames` has it. A DQ extension of the same EXTVER marks pixels bad by the bits in
    `bad_flags` (by default those that its telescope calls unusable), an ERR extension by errors
    that are not finite or negative, and the card SATURATE by pixels that reach it.
    Raises what `read_frames` raises.
    """
    units = _plain_units(path)
    if units is None:
        yield _from_frames(path, bad_flags)
        return
    with units:
        chips, ignored = [], {}
        for number, unit in enumerate(units):
            name = unit.name.strip().upper()
            if not unit.is_image or not unit.shape:
                continue
            part = _part_name(units, number)
            if name in COMPANIONS:
                ignored[part] = COMPANIONS[name]
                continue
            chips.append(_stored_chip(units, number, part, path, bad_flags))
        yield ChipFile(tuple(chips), ignored)


def _plain_units(path: Path) -> fits.HDUList | None:
    """The file's units where every image of the sky in it is a plain two-dimensional one."""
    try:
        with path.open("rb") as file:
            if file.read(6) != b"SIMPLE":
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            units = fits.open(
                path, memmap=False, do_not_scale_image_data=True, lazy_load_hdus=False
            )
    except (OSError, ValueError, TypeError, KeyError, fits.VerifyError):
        return None
    images = [unit for unit in units if unit.is_image and unit.shape]
    sky = [unit for unit in images if unit.name.strip().upper() not in COMPANIONS]
    simple = all(type(unit) in (fits.PrimaryHDU, fits.ImageHDU) for unit in images)
    whole = all(_is_whole(unit, path.stat().st_size) for unit in images) if simple else False
    flat = all(len(unit.shape) == 2 and 0 not in unit.shape for unit in sky)
    only_images = all(unit.is_image for unit in units)
    if sky and simple and whole and flat and only_images:
        return units
    units.close()
    return None


def _is_whole(unit: Any, file_bytes: int) -> bool:
    return int(unit.fileinfo()["datLoc"]) + int(unit.size) <= file_bytes


def _part_name(units: fits.HDUList, number: int) -> str:
    name, version = units[number].name.strip() or f"#{number}", units[number].ver
    alike = [unit for unit in units if unit.name.strip() == units[number].name.strip()]
    return name if len(alike) == 1 else f"{name},{version}"


def _stored_chip(
    units: fits.HDUList, number: int, part: str, path: Path, bad_flags: int | None
) -> Chip:
    unit = units[number]
    header = merged_header(unit.header, units[0].header)
    origin = Origin(source="file", object_id=path.stem, uri=str(path))
    companions = _Companions.of(units, unit, header, bad_flags)

    def read(rows: slice, columns: slice) -> Band:
        values = physical(np.asarray(unit.section[rows, columns]), unit.header)
        with np.errstate(over="ignore"):
            pixels = np.ascontiguousarray(values, dtype=np.float32)
        return companions.band(pixels, ~np.isfinite(pixels), rows, columns)

    return Chip(
        part=part,
        shape=(int(unit.shape[0]), int(unit.shape[1])),
        planes=1,
        sample_type=sample_type_of(unit.header),
        unit=unit_of(header.get("BUNIT")),
        origin=observed(origin, header),
        header=header_text(header),
        first_header=header_text(merged_header(units[0].header, fits.Header())),
        read=read,
    )


def _from_frames(path: Path, bad_flags: int | None) -> ChipFile:
    reading = read_frames(path, source="file")
    chips = tuple(_frame_chip(frame, bad_flags) for frame in reading.frames)
    return ChipFile(chips, {part.part: part.reason for part in reading.ignored})


def _frame_chip(frame: Frame, bad_flags: int | None) -> Chip:
    plane = frame.pixels if frame.planes > 1 else frame.pixels.reshape(frame.height, frame.width)
    header = fits.Header.fromstring(frame.header)
    companions = _Companions(None, None, saturation_of(header), bad_flags or 0)

    def read(rows: slice, columns: slice) -> Band:
        bad = frame.mask[rows, columns]
        return companions.band(plane[..., rows, columns].copy(), bad.copy(), rows, columns)

    return Chip(
        part=frame.origin.part or "image",
        shape=(frame.height, frame.width),
        planes=frame.planes,
        sample_type=frame.sample_type,
        unit=frame.unit,
        origin=frame.origin,
        header=frame.header,
        first_header="",
        read=read,
    )


@dataclass(frozen=True)
class _Companions:
    """What else the file says about a chip's pixels."""

    errors: Any
    quality: Any
    saturation: float | None
    bad_flags: int

    @classmethod
    def of(
        cls, units: fits.HDUList, unit: Any, header: fits.Header, bad_flags: int | None
    ) -> _Companions:
        chosen = bad_flags_of(header) if bad_flags is None else bad_flags
        return cls(
            _companion(units, unit, "ERR"),
            _companion(units, unit, "DQ"),
            saturation_of(header),
            chosen,
        )

    def band(self, pixels: Pixels, bad: Mask, rows: slice, columns: slice) -> Band:
        flags = np.zeros(bad.shape, dtype=np.int32)
        if self.quality is not None:
            raw = physical(np.asarray(self.quality.section[rows, columns]), self.quality.header)
            flags = np.nan_to_num(raw).astype(np.int32)
            bad |= (flags & self.bad_flags) != 0
        if self.errors is not None:
            error = physical(np.asarray(self.errors.section[rows, columns]), self.errors.header)
            bad |= ~np.isfinite(error) | (error < 0)
        if self.saturation is not None and pixels.ndim == 2:
            full = pixels >= self.saturation
            flags[full] |= SATURATED
            bad |= full
        return Band(pixels, bad, flags)


def _companion(units: fits.HDUList, unit: Any, name: str) -> Any:
    """The unit of that name and the chip's version and shape, None where there is none."""
    for other in units:
        same = other.name.strip().upper() == name and other.ver == unit.ver
        if same and other.is_image and other.shape == unit.shape:
            return other
    return None


def saturation_of(header: fits.Header) -> float | None:
    """The level at which pixels are full, as SATURATE or SATLEVEL state it, None where neither."""
    for keyword in ("SATURATE", "SATLEVEL"):
        level = header.get(keyword)
        if isinstance(level, (int, float)) and not isinstance(level, bool) and level > 0:
            return float(level)
    return None


def _block_starts(length: int) -> list[int]:
    last = max(length - SAMPLE_BLOCK_PX, 0)
    return sorted({int(start) for start in np.linspace(0, last, SAMPLE_BLOCKS_A_SIDE)})
