"""The file that `clean` writes: science, mask and uncertainty of every chip, in one FITS."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.cosmicrays.chips import Chip
from engine.cosmicrays.flags import BAD_INPUT, COSMIC_RAY
from engine.results import CosmicRayResult
from engine.writing import whole_file

BLOCK_BYTES = 2880
STORED: dict[str, str] = {
    "SCI": ">f4",
    "MASK": ">u1",
    "PROB": ">f4",
    "ENTROPY": ">f4",
    "MI": ">f4",
    "DQ": ">i4",
}
MEANINGS = {
    "MASK": "1 on cosmic rays",
    "PROB": "probability of a cosmic ray",
    "ENTROPY": "predictive entropy, nats",
    "MI": "what the passes disagree about, nats",
    "DQ": "input flags, 1 unusable, 4096 cosmic ray",
}

Cards = Mapping[str, str | int | float]


class ProductsFile:
    """A FITS file that chips are written into band by band; nothing of them is kept in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._chips = 0

    def write_primary(self, header: str, cards: Cards) -> None:
        """Begin the file: the input's first header and the cards of this run."""
        primary = fits.PrimaryHDU(header=fits.Header.fromstring(header))
        primary.header["EXTEND"] = True
        for keyword, value in cards.items():
            primary.header[keyword] = value
        self._file.write(_header_bytes(primary))

    def chip(self, chip: Chip) -> ChipPlanes:
        """Reserve the six extensions of the next chip."""
        self._chips += 1
        header = fits.Header.fromstring(chip.header)
        wcs = chip.wcs.to_header(relax=True) if chip.wcs is not None else fits.Header()
        starts = {}
        for name, stored in STORED.items():
            described = (header if name == "SCI" else wcs).copy()
            blank = np.broadcast_to(np.zeros((), np.dtype(stored)), chip.shape)
            unit = fits.ImageHDU(blank, described, name=name, ver=self._chips)
            if name in MEANINGS:
                unit.header["CRPLANE"] = MEANINGS[name]
            self._file.seek(0, os.SEEK_END)
            self._file.write(_header_bytes(unit))
            starts[name] = self._file.tell()
            self._file.truncate(starts[name] + _padded(blank.size * blank.dtype.itemsize))
        return ChipPlanes(self._file, starts, chip.shape[1])


@dataclass(frozen=True)
class ChipPlanes:
    """Where the planes of one chip begin in the file."""

    file: BinaryIO
    starts: Mapping[str, int]
    width: int

    def write(self, first_row: int, planes: Mapping[str, NDArray[Any]]) -> None:
        """Write some whole rows of every plane, from `first_row` on."""
        for name, rows in planes.items():
            stored = np.dtype(STORED[name])
            self.file.seek(self.starts[name] + first_row * self.width * stored.itemsize)
            self.file.write(np.ascontiguousarray(rows, dtype=stored).data)


@contextmanager
def products_file(path: Path) -> Iterator[ProductsFile]:
    """Open a products file that appears under its name only when it is complete.

    SCI is the cleaned frame with the input's header and WCS; MASK is 1 on cosmic rays; PROB is in
    [0, 1], ENTROPY and MI (predictive entropy, mutual information) in nats, NaN where the method
    states none; DQ is the input's DQ plus 1 on pixels that were unusable and 4096 on cosmic rays,
    HST's convention. Raises OSError when the folder cannot be written.
    """
    with whole_file(path) as file:
        yield ProductsFile(file)


def planes_of(
    result: CosmicRayResult, bad: NDArray[np.bool_], flags: NDArray[np.int32]
) -> dict[str, NDArray[Any]]:
    """The planes of some rows as they are written."""
    return {
        "SCI": result.cleaned,
        "MASK": result.mask,
        "PROB": result.probability,
        "ENTROPY": result.predictive_entropy,
        "MI": result.mutual_information,
        "DQ": flags | BAD_INPUT * bad | COSMIC_RAY * result.mask,
    }


def _header_bytes(unit: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit.verify("silentfix")
    return bytes(unit.header.tostring(sep="", endcard=True, padding=True).encode("ascii"))


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
