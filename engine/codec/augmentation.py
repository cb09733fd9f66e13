"""Random crops for training: scaled, sharpened, noisy, turned and of changed contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from engine.codec.corpus import Group
from engine.codec.mapping import HALF

Plane = NDArray[np.float32]


def draw_crops(
    groups: tuple[Group, ...], count: int, side: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw `count` augmented crops, float32 (count, 1, side, side) around [-128, 127]."""
    shares = np.array([group.share for group in groups])
    chosen = rng.choice(len(groups), size=count, p=shares / shares.sum())
    crops = np.empty((count, 1, side, side), np.float32)
    for crop, index in zip(crops, chosen, strict=True):
        images = groups[index].images
        crop[0] = _augmented(images[rng.integers(len(images))], side, rng)
    return crops


def _augmented(image: Plane, side: int, rng: np.random.Generator) -> Plane:
    crop = _cut(image, side, rng)
    if rng.random() < 0.3:
        softened = gaussian_filter(crop, rng.uniform(0.6, 1.5))
        crop = crop + rng.uniform(0.0, 1.5) * (crop - softened)
    if rng.random() < 0.25:
        noise = rng.normal(size=crop.shape) * rng.uniform(0.0, 4.0)
        crop = (crop + noise).astype(np.float32)
    crop = np.clip(crop, -HALF, HALF - 1)
    crop = np.rot90(crop, int(rng.integers(4)))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return crop * np.float32(rng.uniform(0.6, 1.3))


def _cut(image: Plane, side: int, rng: np.random.Generator) -> Plane:
    """Cut a window of 1 to 2 times `side` and scale it down to `side`; small images are edged."""
    short = [(0, max(0, side - length)) for length in image.shape]
    image = np.pad(image, short, mode="edge")
    largest = min(2 * side, *image.shape)
    window = int(rng.integers(side, largest + 1)) if rng.random() < 0.5 else side
    y, x = (int(rng.integers(0, length - window + 1)) for length in image.shape)
    cut = image[y : y + window, x : x + window]
    if window == side:
        return cut
    scaled = Image.fromarray(cut).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(scaled, dtype=np.float32)
