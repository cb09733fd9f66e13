"""How far around a detection to look: from its WCS, its PSF and its signal to noise."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales

CONFIDENCE = math.sqrt(-2 * math.log(1 - 0.9973))
"""Radius in units of the error per axis that holds 99.73 % of positions (Rayleigh): 3.44."""
WCS_ERROR_PX = 0.5
FWHM_PX = 2.5
FWHM_TO_SIGMA = 2 * math.sqrt(2 * math.log(2))
FAINTEST_SNR = 3.0
IMAGE_SHARE = 0.05
LARGEST_ARCSEC = 900.0
SEEING_CARDS = ("SEEING", "L1FWHM", "PSF_FWHM")
"""Cards that state the FWHM of the stars in arcsec."""


def search_radius_arcsec(
    header: str, *, kind: str, size_px: int, snr: float | None, floor_arcsec: float
) -> float:
    """The radius around a detection that holds its true place with 99.73 %, or half its PSF.

    `header` is the FITS header of its frame as text, `kind` "source" or "image", `size_px` the side
    of its cutout. The error per axis joins that of the WCS (cards CRDER1/2, else half a pixel) with
    that of a centroid, FWHM / (2.355 S/N) (King 1983, PASP 95, 163); the FWHM comes from the header
    (cards SEEING, L1FWHM, PSF_FWHM in arcsec) or is 2.5 px. Two sources within half the FWHM are
    one to this image, so the radius is never less. The object of a whole image lies within 5 % of
    the side about its middle. Never below `floor_arcsec`, which is what is used where the header
    gives no scale; never above 900 arcsec.
    """
    scale, wcs_error, fwhm = _header_facts(header)
    if scale is None:
        return floor_arcsec
    fwhm_arcsec = fwhm or FWHM_PX * scale
    centroid = fwhm_arcsec / FWHM_TO_SIGMA / max(snr or FAINTEST_SNR, FAINTEST_SNR)
    if kind == "image":
        centroid = IMAGE_SHARE * size_px * scale / CONFIDENCE
    error = math.hypot(WCS_ERROR_PX * scale if wcs_error is None else wcs_error, centroid)
    return min(max(floor_arcsec, CONFIDENCE * error, fwhm_arcsec / 2), LARGEST_ARCSEC)


@lru_cache(maxsize=64)
def _header_facts(header: str) -> tuple[float | None, float | None, float | None]:
    """Pixel scale, error of the WCS per axis and FWHM, in arcsec; None where not stated."""
    if not header:
        return None, None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            cards = fits.Header.fromstring(header)
            wcs = WCS(cards).celestial
            if not wcs.has_celestial:
                return None, None, None
            scale = 3600 * float(max(proj_plane_pixel_scales(wcs)))
        except (ValueError, TypeError, KeyError, MemoryError, ArithmeticError):
            return None, None, None
    if not math.isfinite(scale) or scale <= 0:
        return None, None, None
    errors = [value for axis in (1, 2) if (value := _number(cards, f"CRDER{axis}")) is not None]
    seeing = [value for card in SEEING_CARDS if (value := _number(cards, card)) is not None]
    fwhm = next((value for value in seeing if 0.5 * scale <= value <= 100 * scale), None)
    return scale, 3600 * max(errors) if errors and max(errors) > 0 else None, fwhm


def _number(cards: fits.Header, name: str) -> float | None:
    value = cards.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None
