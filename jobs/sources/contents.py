"""Frames out of fetched bytes, with the archive's own facts about them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.frame import Frame
from engine.reading import Limits, read_frames
from jobs.sources.source import Offer

WCS_CARDS = (
    "WCSAXES", "CTYPE", "CRPIX", "CRVAL", "CDELT", "CUNIT", "CROTA", "PC1_", "PC2_", "CD1_", "CD2_",
    "A_", "B_", "AP_", "BP_", "LONPOLE", "LATPOLE",
)  # fmt: skip


def frames_in(
    content: bytes, file_name: str, *, source: str, object_id: str, uri: str, max_pixels: int,
    **origin: Any,
) -> tuple[Offer, ...]:  # fmt: skip
    """Offers of every frame in one file; `origin` fields fill in what the file does not state.

    Raises FrameError when the bytes are no image.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name
        path.write_bytes(content)
        reading = read_frames(
            path, source=source, object_id=object_id, limits=Limits(max_pixels=max_pixels)
        )
    frames = [_offer(frame, uri, origin) for frame in reading.frames]
    ignored = [Offer(part.part, None, "ignored", part.reason) for part in reading.ignored]
    return (*frames, *ignored)


def _offer(frame: Frame, uri: str, stated: dict[str, Any]) -> Offer:
    missing = {
        name: value
        for name, value in stated.items()
        if value is not None and getattr(frame.origin, name) is None
    }
    origin = replace(frame.origin, uri=uri, **missing)
    return Offer(part=origin.part, frame=replace(frame, origin=origin))


def with_wcs(
    offer: Offer, *, ra_deg: float, dec_deg: float, scale_arcsec: float, comment: str = ""
) -> Offer:
    """The offer with the WCS that an archive draws its cutouts by: TAN, north up, east left.

    The centre of the picture is at `ra_deg`, `dec_deg` (ICRS); `scale_arcsec` is a pixel's side.
    """
    frame = offer.frame
    if frame is None or frame.header:
        return offer
    # Pictures are stored with their top row first, so that north up is a growing row downwards.
    cards = [
        ("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CUNIT1", "deg"), ("CUNIT2", "deg"),
        ("CRPIX1", (frame.width + 1) / 2), ("CRPIX2", (frame.height + 1) / 2),
        ("CRVAL1", ra_deg), ("CRVAL2", dec_deg),
        ("CDELT1", -scale_arcsec / 3600), ("CDELT2", -scale_arcsec / 3600),
        ("RADESYS", "ICRS"),
    ]  # fmt: skip
    return replace(offer, frame=replace(frame, header=_header_text(cards, comment)))


def placed(offer: Offer, *, ra_deg: float, dec_deg: float, within_arcsec: float) -> Offer:
    """The offer with its WCS, or without where that contradicts the archive.

    A cutout was asked for around a place (ICRS); a WCS that puts its middle more than
    `within_arcsec` away is wrong, and a wrong position is worse than none for each pixel: the
    frame then keeps the asked place alone.
    """
    from astropy.coordinates import SkyCoord

    frame = offer.frame
    if frame is None:
        return offer
    asked = SkyCoord(ra_deg, dec_deg, unit="deg")
    own = frame.origin
    if own.ra_deg is not None and own.dec_deg is not None:
        found = SkyCoord(own.ra_deg, own.dec_deg, unit="deg")
        if float(asked.separation(found).arcsec) <= within_arcsec:
            return offer
    header = _without_wcs(frame.header)
    origin = replace(own, ra_deg=ra_deg, dec_deg=dec_deg)
    return replace(offer, frame=replace(frame, origin=origin, header=header))


def _without_wcs(text: str) -> str:
    from astropy.io import fits

    header = fits.Header.fromstring(text)
    for card in [name for name in header if name.rstrip("P").startswith(WCS_CARDS)]:
        header.remove(card, ignore_missing=True, remove_all=True)
    header.add_comment("WCS left out: it contradicts the place that the cutout was asked for")
    return str(header.tostring(sep="", endcard=False, padding=False))


def _header_text(cards: list[tuple[str, Any]], comment: str) -> str:
    from astropy.io import fits

    header = fits.Header(cards)
    if comment:
        header.add_comment(comment)
    return str(header.tostring(sep="", endcard=False, padding=False))


def with_comments(offer: Offer, **facts: str) -> Offer:
    """The offer with words about it (title, credit) as comments in its header."""
    from astropy.io import fits

    frame = offer.frame
    if frame is None:
        return offer
    header = fits.Header.fromstring(frame.header) if frame.header else fits.Header()
    for name, text in facts.items():
        plain = " ".join(str(text).split()).encode("ascii", "replace").decode()
        if plain:
            header.add_comment(f"{name}: {plain}")
    text = str(header.tostring(sep="", endcard=False, padding=False))
    return replace(offer, frame=replace(frame, header=text))
