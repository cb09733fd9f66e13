"""Particle hits beside the coded image: their original samples, exactly, in a packet of their own.

A hit is sharp and bright and costs a transform coder many bits. Coding the image with its hits
inpainted saves those; the side list holds the samples themselves, so that nothing is lost and a
better detector can look at them later.

    HITS := deflate(count:u32 gaps:count x u32 samples:planes x count x f32)

Gaps lie between flat indices in raster order; samples are float32, both stored lowest bytes first.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.codec.container import HITS_PACKET, Packet, inflate
from engine.cosmicrays.inpainting import inpaint
from engine.errors import BitstreamError
from engine.frame import Frame, Mask

if TYPE_CHECKING:
    from engine.codec.decoding import Decoded

_COUNT = struct.Struct("<I")


def hits_packet(frame: Frame, hits: Mask) -> Packet:
    """The side list of the good pixels that are True in `hits`, bool (H, W)."""
    chosen = np.flatnonzero(hits & ~frame.mask)
    gaps = np.diff(chosen, prepend=0).astype("<u4")
    samples = frame.pixels.reshape(-1, hits.size)[:, chosen].astype("<f4")
    plain = _COUNT.pack(len(chosen)) + _by_byte(gaps) + _by_byte(samples)
    return Packet(HITS_PACKET, 0, zlib.compress(plain, 9))


def without_hits(frame: Frame, hits: Mask) -> Frame:
    """The frame with its hits inpainted by the median of the good pixels around them."""
    planes = frame.pixels.reshape(-1, *hits.shape)
    filled = [inpaint(plane, hits & ~frame.mask, frame.mask) for plane in planes]
    return frame.with_pixels(np.stack(filled).reshape(frame.pixels.shape))


def with_hits(decoded: Decoded, packet: Packet) -> Decoded:
    """Put the original samples back where hits were.

    Raises BitstreamError when the list cannot belong to this image.
    """
    height, width = decoded.valid.shape
    planes = decoded.header.coded_planes
    plain = inflate(packet.payload, _COUNT.size + 4 * (1 + planes) * height * width)
    if len(plain) < _COUNT.size:
        raise BitstreamError("the list of hits is empty")
    (count,) = _COUNT.unpack_from(plain)
    if len(plain) != _COUNT.size + 4 * count * (1 + planes):
        raise BitstreamError(f"the list of hits does not hold the {count} samples it claims")
    gaps = _from_bytes(plain[_COUNT.size : _COUNT.size + 4 * count]).view("<u4")
    where = np.cumsum(gaps.astype(np.int64))
    samples = _from_bytes(plain[_COUNT.size + 4 * count :]).view("<f4").reshape(planes, count)
    if count and (where[-1] >= height * width or not np.isfinite(samples).all()):
        raise BitstreamError("the list of hits points outside the image or holds no numbers")
    pixels = decoded.pixels.copy()
    pixels.reshape(planes, -1)[:, where] = samples
    hits = np.zeros(height * width, np.bool_)
    hits[where] = True
    return replace(decoded, pixels=pixels, hits=hits.reshape(height, width))


def _by_byte(values: NDArray[np.generic]) -> bytes:
    """All lowest bytes first, then the next ones: deflate finds more to share."""
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, 4).T.tobytes()


def _from_bytes(stored: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(stored, np.uint8).reshape(4, -1).T.copy().reshape(-1)
