"""Images that no memory needs to hold, to .cosmic and back: `--stream`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.codec.container import FileHeader
    from engine.codec.large import LargeSummary

DEFAULT_BPP = 0.5
BITPIX = {"uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "float32": -32}


@dataclass(frozen=True)
class _Section:
    """The rows of a FITS image that are asked for, scaled as its header says."""

    section: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.asarray(self.section[rows, :]).astype(self.dtype)


def compress_by_rows(file: Path, out: Path, bpp: float | None, size: int | None) -> dict[str, Any]:
    """Code a two-dimensional .fits or .npy image, reading rows as they are needed."""
    from engine.codec.large import encode_large
    from engine.codec.model import CodecModel

    path = out / f"{file.stem}.cosmic"
    part = path.with_suffix(".part")
    with _rows_of(file) as (image, cards):
        height, width = image.shape
        budget = size if size is not None else int((bpp or DEFAULT_BPP) * height * width / 8)
        with part.open("wb") as stream:
            written = encode_large(image, budget, CodecModel.load(), stream.write, cards=cards)
    part.replace(path)
    return {
        "file": str(path),
        "samples": height * width,
        "bytes": written,
        "bpp": 8 * written / (height * width),
    }


def decompress_by_rows(file: Path, out: Path) -> LargeSummary:
    """Decode a file to .fits or .npy, writing rows as they come."""
    from engine.codec.large import decode_large
    from engine.codec.model import CodecModel

    make = _fits_writer if out.suffix == ".fits" else _npy_writer
    begin, write, close = make(out)
    try:
        return decode_large(file, CodecModel.load(), begin, write)
    finally:
        close()


@contextmanager
def _rows_of(file: Path) -> Iterator[tuple[Any, str]]:
    """The rows of an image and its FITS cards."""
    from astropy.io import fits

    if file.suffix == ".npy":
        image = np.load(file, mmap_mode="r")
        _check_flat(file, image.shape)
        yield image, ""
        return
    if file.suffix not in (".fits", ".fit"):
        raise UsageError(f"--stream reads .fits and .npy, got {file.name}: leave it out")
    with fits.open(file, memmap=False) as hdus:
        images = [hdu for hdu in hdus if getattr(hdu, "section", None) is not None and hdu.shape]
        if not images:
            raise UsageError(f"{file} holds no image that can be read by rows: leave out --stream")
        hdu = images[0]
        _check_flat(file, hdu.shape)
        first = np.asarray(hdu.section[0:1, :])
        kind = first.dtype.newbyteorder("=")
        if kind == np.float64:
            kind = np.dtype(np.float32)
        yield _Section(hdu.section, tuple(hdu.shape), kind), hdu.header.tostring(padding=False)


def _check_flat(file: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise UsageError(f"--stream codes images of two axes, {file} has {len(shape)}")


Writer = tuple[
    Callable[["FileHeader"], object], Callable[[int, np.ndarray], object], Callable[[], object]
]


def _npy_writer(out: Path) -> Writer:
    opened: list[np.memmap[Any, Any]] = []

    def begin(header: FileHeader) -> None:
        shape, kind = (header.height, header.width), np.dtype(header.sample_type)
        opened.append(np.lib.format.open_memmap(out, "w+", kind, shape))

    def write(first: int, part: np.ndarray) -> None:
        opened[0][first : first + len(part)] = part

    def flush() -> None:
        for image in opened:
            image.flush()

    return begin, write, flush


def _fits_writer(out: Path) -> Writer:
    """Rows of samples behind a header; unsigned 16-bit ones as FITS stores them."""
    from astropy.io import fits

    opened: list[tuple[fits.StreamingHDU, str]] = []

    def begin(header: FileHeader) -> None:
        kind = header.sample_type
        if kind not in BITPIX:
            raise UsageError(f"FITS by rows holds {', '.join(BITPIX)}, not {kind}: write .npy")
        cards = fits.Header.fromstring(header.cards) if header.cards else fits.Header()
        for name in ("BZERO", "BSCALE", "NAXIS3", "XTENSION", "PCOUNT", "GCOUNT"):
            cards.remove(name, ignore_missing=True)
        cards["SIMPLE"], cards["BITPIX"], cards["NAXIS"] = True, BITPIX[kind], 2
        cards["NAXIS1"], cards["NAXIS2"] = header.width, header.height
        if kind == "uint16":
            cards["BSCALE"], cards["BZERO"] = 1, 32768
        out.unlink(missing_ok=True)
        opened.append((fits.StreamingHDU(str(out), cards), kind))

    def write(_: int, part: np.ndarray) -> None:
        stream, kind = opened[0]
        if kind == "uint16":
            stream.write((part.astype(np.int32) - 32768).astype(">i2"))
        else:
            stream.write(part.astype(np.dtype(kind).newbyteorder(">")))

    return begin, write, lambda: [stream.close() for stream, _ in opened]
