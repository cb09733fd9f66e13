"""What a FITS header states about the observation; what it does not state stays unknown."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

from astropy.io import fits
from astropy.time import Time

from engine.frame import Frame, Origin

GAIN_CARDS = ("EGAIN", "ATODGN", "CCDGAIN", "ATODGAIN", "GAIN")
READ_NOISE_CARDS = ("READNSE", "RDNOISE", "READNOIS")
FILTER_CARDS = ("FILTER", "FILTNAM1", "FILTER1", "FILTER2")
MJD_CARDS = ("MJD-OBS", "MJDOBS", "EXPSTART")
LAYOUT_CARDS = frozenset(
    [
        "SIMPLE",
        "XTENSION",
        "BITPIX",
        "NAXIS",
        "EXTEND",
        "PCOUNT",
        "GCOUNT",
        "GROUPS",
        "TFIELDS",
        "THEAP",
        "INHERIT",
        "CHECKSUM",
        "DATASUM",
        "BSCALE",
        "BZERO",
        "BLANK",
        "EXTNAME",
        "EXTVER",
        "EXTLEVEL",
        "COMMENT",
        "HISTORY",
        "END",
    ]
)
LAYOUT_PREFIXES = ("NAXIS", "TTYPE", "TFORM", "TUNIT", "TDIM", "TDISP", "TNULL", "TSCAL", "TZERO")
# Cards that point at distortion tables in other extensions; without them the WCS is still good
# to a fraction of a pixel, with them and without the tables there would be none.
DISTORTION_TABLE_PREFIXES = ("CPDIS", "CPERR", "DP1", "DP2", "D2IM", "AXISCORR")
UNITS = {
    "electrons": "electron",
    "electron": "electron",
    "e-": "electron",
    "e": "electron",
    "electrons/s": "electron/s",
    "electron/s": "electron/s",
    "e-/s": "electron/s",
    "counts": "adu",
    "count": "adu",
    "dn": "adu",
    "adu": "adu",
    "unitless": "",
}


def observed(origin: Origin, header: fits.Header) -> Origin:
    """The origin with everything that the header states."""
    return replace(
        origin,
        mjd=_mjd(header),
        band=_band(header),
        exposure_s=_number(header, ("EXPTIME",), smallest=0.0),
        instrument=_text(header, "INSTRUME"),
        gain_e_per_adu=_number(header, GAIN_CARDS, smallest=1e-6),
        read_noise_e=_number(header, READ_NOISE_CARDS, smallest=0.0),
    )


def centred(frame: Frame) -> Frame:
    """The frame with the sky position of its middle, where it has a celestial WCS."""
    if frame.wcs is None:
        return frame
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            middle = frame.wcs.pixel_to_world((frame.width - 1) / 2, (frame.height - 1) / 2).icrs
    except (ValueError, AttributeError, TypeError):
        return frame
    ra, dec = float(middle.ra.deg), float(middle.dec.deg)
    if not (math.isfinite(ra) and math.isfinite(dec)):
        return frame
    return replace(frame, origin=replace(frame.origin, ra_deg=ra, dec_deg=dec))


def unit_of(stated: Any) -> str:
    """The unit as this package spells it; unknown spellings pass unchanged."""
    text = stated.strip() if isinstance(stated, str) else ""
    return UNITS.get(text.lower(), text)


def merged_header(extension: fits.Header, primary: fits.Header) -> fits.Header:
    """The extension's cards, then the primary's that it lacks.

    Left out are cards of the file's layout and those that point into other extensions.
    """
    merged = fits.Header()
    for header in (extension, primary):
        for card in header.cards:
            if _belongs_to_the_file(card.keyword) or card.keyword in merged:
                continue
            try:
                merged.append((card.keyword, card.value, card.comment))
            except (ValueError, fits.VerifyError):
                continue
    return merged


def header_text(header: fits.Header) -> str:
    """The header as 80-character cards without END."""
    return str(header.tostring(sep="", endcard=False, padding=False))


def _belongs_to_the_file(keyword: str) -> bool:
    prefixes = (*LAYOUT_PREFIXES, *DISTORTION_TABLE_PREFIXES)
    return not keyword or keyword in LAYOUT_CARDS or keyword.startswith(prefixes)


def _number(header: fits.Header, keywords: tuple[str, ...], smallest: float) -> float | None:
    for keyword in keywords:
        value = header.get(keyword)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number) and number >= smallest:
                return number
    return None


def _text(header: fits.Header, keyword: str) -> str | None:
    value = header.get(keyword)
    return value.strip() or None if isinstance(value, str) else None


def _band(header: fits.Header) -> str | None:
    """The filters in the beam; empty wheels (CLEAR) are none."""
    for keyword in FILTER_CARDS[:2]:
        if name := _text(header, keyword):
            return name
    wheels = [_text(header, keyword) for keyword in FILTER_CARDS[2:]]
    return "+".join(name for name in wheels if name and not name.startswith("CLEAR")) or None


def _mjd(header: fits.Header) -> float | None:
    """Start of the exposure; a date without its time of day is not enough."""
    stated = _number(header, MJD_CARDS, smallest=1.0)
    if stated is not None:
        return stated
    date, time = _text(header, "DATE-OBS"), _text(header, "TIME-OBS")
    if date and "T" not in date and time:
        date = f"{date}T{time}"
    if not date or "T" not in date:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(Time(date.removesuffix("Z"), format="isot", scale="utc").mjd)
    except ValueError:
        return None
