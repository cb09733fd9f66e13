"""Lossless and near-lossless tiles: JPEG-LS for integers, shuffled deflate for anything else."""

from __future__ import annotations

import zlib

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from engine.codec.container import FileHeader, Mode, Packet, inflate
from engine.errors import BitstreamError, NotApplicable
from engine.frame import Frame, Pixels

JPEG_LS_TYPES = ("uint8", "int8", "uint16", "int16")


def exact_mode(frame: Frame, near: int) -> Mode:
    """How this frame can be coded within `near`. Raises NotApplicable when it cannot be."""
    if frame.sample_type in JPEG_LS_TYPES and _holds_integers(frame):
        return Mode.NEAR
    if near:
        raise NotApplicable(
            f"near-lossless coding needs integers of 8 or 16 bits, got {frame.sample_type}: "
            "choose lossless, bpp or psnr"
        )
    return Mode.SAMPLES


def exact_packets(planes: Pixels, header: FileHeader) -> list[Packet]:
    """Code `planes` (C, H, W) tile by tile."""
    packets = []
    for number in range(header.tiles):
        plane, rows, columns = header.place(number)
        tile = planes[plane, rows, columns]
        packets.append(Packet(number, 0, _encode_tile(tile, header)))
    return packets


def exact_tile(payload: bytes, header: FileHeader, shape: tuple[int, int]) -> Pixels:
    """Decode one tile. Raises BitstreamError when the payload is not one of this shape."""
    if header.mode is Mode.SAMPLES:
        return _unshuffled(payload, shape)
    unsigned, lowest = _unsigned(header.sample_type)
    tile = np.empty(shape, unsigned)
    try:
        imagecodecs.jpegls_decode(payload, out=tile)
    except (imagecodecs.JpeglsError, ValueError, TypeError) as error:
        raise BitstreamError(f"a JPEG-LS tile does not decode: {error}") from error
    return (tile.astype(np.int32) + lowest).astype(np.float32)


def _encode_tile(tile: Pixels, header: FileHeader) -> bytes:
    if header.mode is Mode.SAMPLES:
        return _shuffled(tile)
    unsigned, lowest = _unsigned(header.sample_type)
    samples = np.ascontiguousarray((tile.astype(np.int32) - lowest).astype(unsigned))
    return bytes(imagecodecs.jpegls_encode(samples, level=header.near))


def _holds_integers(frame: Frame) -> bool:
    bounds = np.iinfo(frame.sample_type)
    pixels = frame.pixels
    whole = bool(np.isfinite(pixels).all() and np.array_equal(pixels, np.rint(pixels)))
    return whole and bool(pixels.min() >= bounds.min and pixels.max() <= bounds.max)


def _unsigned(sample_type: str) -> tuple[np.dtype[np.unsignedinteger], int]:
    """The unsigned type of the same width, and the value that its zero stands for."""
    source = np.dtype(sample_type)
    return np.dtype(f"u{source.itemsize}"), int(np.iinfo(source).min)


def _shuffled(tile: Pixels) -> bytes:
    """Little-endian float32 samples, first bytes first, deflated."""
    by_sample: NDArray[np.uint8] = np.frombuffer(tile.astype("<f4").tobytes(), np.uint8)
    return zlib.compress(by_sample.reshape(-1, 4).T.tobytes(), 6)


def _unshuffled(payload: bytes, shape: tuple[int, int]) -> Pixels:
    size = shape[0] * shape[1] * 4
    plain = inflate(payload, size)
    if len(plain) != size:
        raise BitstreamError(f"a tile holds {len(plain)} bytes where {size} are due")
    by_sample = np.frombuffer(plain, np.uint8).reshape(4, -1).T
    return np.frombuffer(by_sample.tobytes(), "<f4").astype(np.float32).reshape(shape)
