"""Libraries of single hits, their injection into frames, and the labels they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.errors import UnreadableFile
from engine.frame import Mask, Pixels
from engine.split import Split, split_of

SEED_SIGMA = 6.0
GROW_SIGMA = 3.0
TOUCHED_SIGMA = 0.75
SMALLEST_CHARGE_E = 60.0
LONGEST_SIDE_PX = 80
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)

DrawHit = Callable[[np.random.Generator], Pixels]


@dataclass(frozen=True)
class HitLibrary:
    """Stamps of single hits, each float32 (h, w) in electrons."""

    name: str
    stamps: tuple[Pixels, ...]

    def __post_init__(self) -> None:
        if not self.stamps:
            raise UnreadableFile(f"the hit library {self.name} holds no usable hit: check the file")

    def draw(self, rng: np.random.Generator) -> Pixels:
        """One stamp at random."""
        return self.stamps[rng.integers(len(self.stamps))]


def read_hits(path: Path, *, split: Split | None = None) -> HitLibrary:
    """Read a library from an .npz of one array a hit, whole or only the hits of one split.

    The split of a hit is fixed by its name in the file. Hits below 60 electrons or longer than
    80 pixels are left out. Raises UnreadableFile when nothing is left or the file is not an .npz.
    """
    try:
        with np.load(path) as archive:
            named = {name: archive[name].astype(np.float32) for name in archive.files}
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is not a library of hits ({error}): give an .npz") from error
    stamps = (
        stamp
        for name, stamp in named.items()
        if stamp.sum() >= SMALLEST_CHARGE_E
        and max(stamp.shape) <= LONGEST_SIDE_PX
        and split in (None, split_of(f"{path.stem}/{name}"))
    )
    return HitLibrary(path.stem, tuple(stamps))


def scatter_hits(
    rng: np.random.Generator, shape: tuple[int, int], draw: DrawHit, share: float
) -> Pixels:
    """Drop hits at random places and in random orientations until they cover `share` of the pixels.

    Returns the charge in electrons, float32 of `shape`.
    """
    charge = np.zeros(shape, dtype=np.float32)
    covered, wanted = 0, share * charge.size
    while covered < wanted:
        stamp = _turned(rng, draw(rng))
        row, column = (int(rng.integers(-2, side)) for side in shape)
        covered += _add_stamp(charge, stamp, row, column)
    return charge


def _turned(rng: np.random.Generator, stamp: Pixels) -> Pixels:
    turned: Pixels = np.rot90(stamp, int(rng.integers(4)))
    return turned.T if rng.integers(2) else turned


def _add_stamp(charge: Pixels, stamp: Pixels, row: int, column: int) -> int:
    """Add the part of the stamp that lies inside, and return how many pixels it touched (>= 1)."""
    top, left = max(0, -row), max(0, -column)
    bottom, right = (max(0, corner) for corner in (row + stamp.shape[0], column + stamp.shape[1]))
    target = charge[row + top : bottom, column + left : right]
    part = stamp[top : top + target.shape[0], left : left + target.shape[1]]
    target += part
    return max(int(np.count_nonzero(part)), 1)


def hit_labels(charge: Pixels, sigma: Pixels) -> tuple[Mask, Mask]:
    """Label pixels from the charge that fell on them, by the rule of the STIS check pair.

    `charge` and `sigma` (the noise) in electrons, float32 (H, W). Positive are 8-connected groups
    above 3 sigma that reach 6 sigma; other pixels that got more than 0.75 sigma are ambiguous.
    Returns (truth, ignore), both bool (H, W).
    """
    significance = charge / sigma
    groups, count = ndimage.label(significance > GROW_SIGMA, structure=EIGHT_NEIGHBOURS)
    peaks = ndimage.maximum(significance, groups, np.arange(count + 1)) if count else np.zeros(1)
    seeded = np.asarray(peaks) > SEED_SIGMA
    seeded[0] = False
    truth: Mask = seeded[groups]
    return truth, (significance > TOUCHED_SIGMA) & ~truth


def pair_labels(
    rng: np.random.Generator, charge: Pixels, noise: Pixels, sigma: Pixels, stretch: float
) -> tuple[Mask, Mask]:
    """Label pixels as the difference of two exposures would, noise and all.

    `charge` is what fell on the pixels with its own noise, `noise` the rest of the noise of the
    exposure that was hit, `sigma` that of one exposure; the other exposure's is drawn here. The
    rule of the STIS check pair with `stretch` times sigma: 8-connected groups of the difference
    above 3 sigma that reach 6 sigma are positive, other pixels above 3 sigma ambiguous. A rim too
    faint for the difference is negative, as it is on the check pair. Returns (truth, ignore), both
    bool (H, W); groups made of noise alone are ambiguous.
    """
    other = sigma * rng.standard_normal(charge.shape, dtype=np.float32)
    significance = (charge + noise - other) / (np.float32(stretch) * sigma)
    bright = significance > GROW_SIGMA
    groups, count = ndimage.label(bright, structure=EIGHT_NEIGHBOURS)
    if not count:
        return bright, bright
    numbers = np.arange(count + 1)
    seeded = np.asarray(ndimage.maximum(significance, groups, numbers)) > SEED_SIGMA
    struck = np.asarray(ndimage.maximum(charge / sigma, groups, numbers)) > 1.0
    seeded = seeded & struck
    seeded[0] = False
    truth: Mask = seeded[groups]
    return truth, bright & ~truth


def add_charge(rng: np.random.Generator, pixels: Pixels, charge: Pixels) -> Pixels:
    """Add charge with its own Poisson noise (Gaussian limit) to a frame, all in electrons."""
    return pixels + noisy(rng, charge)


def noisy(rng: np.random.Generator, charge: Pixels) -> Pixels:
    """Charge with its own Poisson noise (Gaussian limit), in electrons."""
    noise = rng.standard_normal(charge.shape, dtype=np.float32) * np.sqrt(np.maximum(charge, 0))
    return charge + noise


def label_noise(pixels: NDArray[np.float32], read_noise_e: float, sky_e: float) -> Pixels:
    """Noise that labels are measured against, electrons: photons, read-out, 6 % of the source flux.

    sigma^2 = max(pixels, 0) + read_noise^2 + (0.06 * max(pixels - sky, 0))^2
    """
    photons = np.maximum(pixels, 0)
    source = 0.06 * np.maximum(pixels - sky_e, 0)
    noise: Pixels = np.sqrt(photons + np.float32(read_noise_e) ** 2 + source**2)
    return noise.astype(np.float32, copy=False)
