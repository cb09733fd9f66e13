"""Data-quality bits: what telescopes call unusable, and what `clean` writes."""

from __future__ import annotations

from astropy.io import fits

BAD_INPUT, SATURATED, COSMIC_RAY = 1, 256, 4096

# Bits that the instruments' own handbooks call bad: lost, filled, permanently defective, blocked,
# hot, full, without reference, over the converter's range; not warm pixels, traps or cosmic rays.
# ACS, WFC3 and STIS share their numbering (ACS Data Handbook, table 4.2; WFC3 Data Handbook, table
# 3.3; STIS Data Handbook, table 2.8); in STIS 16 is dark rate above 5 sigma and 256 saturation.
HST_BAD = 1 | 2 | 4 | 8 | 16 | 256 | 512 | 2048
# WFPC2 Instrument Handbook: lost, reference defect, permanent defect, converter full, missing,
# bad pixel, permanent trap, unrepairable warm pixel.
WFPC2_BAD = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 512
# JWST pipeline: DO_NOT_USE, SATURATED.
JWST_BAD = 1 | 2


def bad_flags_of(header: fits.Header) -> int:
    """The bits of DQ that make a pixel unusable; 0 for a telescope that is not known here."""
    telescope = str(header.get("TELESCOP", "")).strip().upper()
    instrument = str(header.get("INSTRUME", "")).strip().upper()
    if telescope == "JWST":
        return JWST_BAD
    if instrument.startswith("WFPC"):
        return WFPC2_BAD
    return HST_BAD if telescope == "HST" or instrument in ("ACS", "WFC3", "STIS") else 0
