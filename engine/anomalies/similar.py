"""Detections that look alike: neighbours by embedding, near duplicates by perceptual hash."""

from __future__ import annotations

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR_DUPLICATE_BITS = 6


def nearest(
    vector: NDArray[np.float32], vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Row numbers and cosine similarities of the `count` rows most like `vector`, best first.

    `vector` (D,), `vectors` (N, D), any length; a zero vector has similarity 0 to all. Ties keep
    row order. Raises ValueError when the dimensions differ.
    """
    if vectors.ndim != 2 or vectors.shape[1:] != vector.shape:
        raise ValueError(f"vectors must be (N, {vector.size}), got {vectors.shape}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1) * np.linalg.norm(vector)
    cosine = vectors.astype(np.float64) @ vector / np.where(lengths > 0, lengths, 1.0)
    order = np.argsort(-cosine, kind="stable")[:count]
    return order.astype(np.int64), cosine[order]


def perceptual_hash(pixels: NDArray[np.float32]) -> str:
    """64-bit perceptual hash, 16 hex digits, of pixels (H, W) stretched between their extremes.

    The signs of the lowest 8 x 8 DCT coefficients against their median (Zauner 2010); brightness
    and contrast do not change it.
    """
    finite = np.nan_to_num(pixels.astype(np.float64), nan=float(np.nanmedian(pixels)))
    span = float(finite.max() - finite.min())
    levels = np.rint(255 * (finite - finite.min()) / span) if span > 0 else np.zeros_like(finite)
    return str(imagehash.phash(Image.fromarray(levels.astype(np.uint8))))


def hash_distance(first: str, second: str) -> int:
    """Number of bits in which two hashes differ, 0 to 64."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def near_duplicate(first: str, second: str) -> bool:
    """Whether two hashes differ in at most 6 of 64 bits."""
    return hash_distance(first, second) <= NEAR_DUPLICATE_BITS
