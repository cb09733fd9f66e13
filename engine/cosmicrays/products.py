"""The file that `clean` writes: science, mask and uncertainty of every chip, in one FITS."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.frame import Frame
from engine.results import CosmicRayResult
from engine.writing import write_whole

BAD_INPUT, COSMIC_RAY = 1, 4096


def write_products(
    path: Path,
    chips: Sequence[tuple[Frame, CosmicRayResult]],
    cards: Mapping[str, str | int | float],
) -> None:
    """Write SCI, MASK, PROB, ENTROPY, MI and DQ of each chip, numbered by EXTVER.

    SCI is the cleaned frame with the input's header and WCS; MASK is 1 on cosmic rays; PROB is in
    [0, 1], ENTROPY and MI (predictive entropy, mutual information) in nats, NaN where the method
    states none; DQ is 1 on pixels bad in the input plus 4096 on cosmic rays, HST's convention.
    `cards` join the primary header. Raises OSError when the folder cannot be written.
    """
    primary = fits.PrimaryHDU()
    for keyword, value in cards.items():
        primary.header[keyword] = value
    units = [primary]
    for number, (frame, result) in enumerate(chips, start=1):
        header = fits.Header.fromstring(frame.header)
        wcs = frame.wcs.to_header(relax=True) if frame.wcs is not None else fits.Header()
        for name, image in _images(frame, result).items():
            described = header if name == "SCI" else wcs
            units.append(fits.ImageHDU(image, described.copy(), name=name, ver=number))
    stream = io.BytesIO()
    fits.HDUList(units).writeto(stream, output_verify="silentfix")
    write_whole(path, stream.getvalue())


def _images(frame: Frame, result: CosmicRayResult) -> dict[str, NDArray[np.generic]]:
    return {
        "SCI": result.cleaned,
        "MASK": result.mask.astype(np.uint8),
        "PROB": result.probability,
        "ENTROPY": result.predictive_entropy,
        "MI": result.mutual_information,
        "DQ": (BAD_INPUT * frame.mask + COSMIC_RAY * result.mask).astype(np.int16),
    }
