"""Frame: one two-dimensional (or multi-plane) image, checked where it is made."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from engine.errors import EmptyFrame, FrameError

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

SAMPLE_BITS = {"uint8": 8, "int8": 8, "uint16": 16, "int16": 16, "uint32": 32, "int32": 32}


@dataclass(frozen=True)
class Origin:
    """Where and how a frame was observed; unknown fields are None, never a guess.

    Angles in degrees (ICRS), `mjd` in days, `exposure_s` in seconds, `gain_e_per_adu` in electrons
    per count, `read_noise_e` in electrons. `part` names the extension, chip or plane of the file.
    """

    source: str
    object_id: str
    uri: str = ""
    part: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None
    mjd: float | None = None
    band: str | None = None
    exposure_s: float | None = None
    instrument: str | None = None
    gain_e_per_adu: float | None = None
    read_noise_e: float | None = None


@dataclass(frozen=True)
class Frame:
    """An image with its bad-pixel mask.

    `pixels` float32, shape (H, W) or (C, H, W); bad pixels hold NaN or any value and are True in
    `mask`, bool, shape (H, W). `unit` is free text ("electron", "adu", "" when unknown).
    `sample_type` is the numpy name of the samples as stored in the file ("uint8", "int16",
    "float32", ...): it sets the raw depth that compression ratios are stated against.
    `header` is the FITS header as text (80-character cards, no END), "" when there is none.

    Raises FrameError on shapes that do not agree, EmptyFrame when no pixel is finite and unmasked.
    """

    pixels: Pixels
    mask: Mask
    unit: str
    origin: Origin
    sample_type: str = "float32"
    header: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.float32:
            raise FrameError(f"pixels must be float32, got {self.pixels.dtype}: convert first")
        if self.pixels.ndim not in (2, 3) or 0 in self.pixels.shape:
            raise FrameError(
                f"pixels must have shape (H, W) or (C, H, W), got {self.pixels.shape}: "
                "choose one plane of a larger cube"
            )
        if self.mask.dtype != np.bool_ or self.mask.shape != self.pixels.shape[-2:]:
            raise FrameError(
                f"mask must be bool of shape {self.pixels.shape[-2:]}, "
                f"got {self.mask.dtype} {self.mask.shape}"
            )
        if not np.isfinite(self.pixels[..., ~self.mask]).all():
            raise FrameError("pixels that are not finite must be True in the mask: use Frame.of")
        if self.mask.all():
            raise EmptyFrame("no finite pixel in this image: check the extension or plane chosen")
        self.pixels.flags.writeable = False
        self.mask.flags.writeable = False

    @classmethod
    def of(
        cls,
        pixels: NDArray[np.generic],
        origin: Origin,
        *,
        mask: Mask | None = None,
        unit: str = "",
        sample_type: str | None = None,
        header: str = "",
    ) -> Frame:
        """Make a frame from any numeric array, masking what is not finite."""
        as_float = np.array(pixels, dtype=np.float32, order="C")
        finite = np.isfinite(as_float)
        usable: Mask = finite if as_float.ndim == 2 else np.all(finite, axis=0)
        bad: Mask = ~usable if mask is None else ~usable | mask
        return cls(as_float, bad, unit, origin, sample_type or pixels.dtype.name, header)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[-2])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[-1])

    @property
    def planes(self) -> int:
        """Number of planes C; 1 for a (H, W) frame."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[0])

    @property
    def sample_bits(self) -> int:
        """Bits per stored sample, the raw depth (32 for float32, 64 for float64)."""
        return SAMPLE_BITS.get(self.sample_type) or int(np.dtype(self.sample_type).itemsize * 8)

    @cached_property
    def digest(self) -> str:
        """sha256 over sample type, shape, pixels (one form of NaN), mask and unit, as hex.

        Masked pixels count as NaN, so that the value left under a mask changes nothing.
        """
        canonical = np.where(self.mask, np.float32(np.nan), self.pixels).astype("<f4")
        hasher = hashlib.sha256()
        hasher.update(f"{self.sample_type}|{self.pixels.shape}|{self.unit}|".encode())
        hasher.update(canonical.tobytes())
        hasher.update(np.packbits(self.mask).tobytes())
        return hasher.hexdigest()

    @cached_property
    def wcs(self) -> WCS | None:
        """The celestial WCS of the header, or None where there is none."""
        if not self.header:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            try:
                wcs = WCS(fits.Header.fromstring(self.header)).celestial
            except (ValueError, TypeError, KeyError, MemoryError):
                return None
        return wcs if wcs.has_celestial else None

    def filled(self, value: float | None = None) -> Pixels:
        """The pixels with bad ones replaced by `value` (the median of the good ones if None)."""
        if value is None:
            value = float(np.median(self.pixels[..., ~self.mask]))
        return np.where(self.mask, np.float32(value), self.pixels)

    def with_pixels(self, pixels: Pixels) -> Frame:
        """The same frame with other pixels (a cleaned or decoded version)."""
        return replace(self, pixels=pixels)
