"""Labelled images of one's own, in the layouts that deepCR trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import UnreadableFile
from engine.frame import Pixels

VALIDATION_SHARE = 0.1

Item = str | Path | NDArray[np.generic]
Labelled = tuple[Pixels, Pixels, Pixels]


class LabelledImages(Protocol):
    """A number of labelled images; `draw` gives (image, mask, ignore), float32 (H, W) each."""

    def __len__(self) -> int: ...

    def draw(self, number: int, rng: np.random.Generator) -> Labelled: ...


@dataclass(frozen=True)
class Pairs:
    """Images with cosmic rays and their masks.

    Either `image` lists .npy files or arrays of shape (2 or 3, H, W): image, mask and, optionally,
    pixels to ignore; or `image`, `mask` and `ignore` are (N, H, W). With `aug_sky` (low, high) a
    random multiple of the image's `sky` within it is added; `sky` is given, or read from sky.npy
    beside files named NUMBER_*.npy, numbered from 1.
    """

    image: Sequence[Item]
    mask: Sequence[Item] | None = None
    ignore: Sequence[Item] | None = None
    sky: NDArray[np.floating] | None = None
    aug_sky: tuple[float, float] = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self.image)

    def draw(self, number: int, rng: np.random.Generator) -> Labelled:
        """The image of that number with a sky drawn anew. Raises UnreadableFile on other shapes."""
        planes = read_planes(self.image[number])
        if self.mask is None and len(planes) not in (2, 3):
            raise UnreadableFile(
                f"image {number} has {len(planes)} planes: give image, mask and, optionally, ignore"
            )
        image = planes[0]
        mask = planes[1] if self.mask is None else read_planes(self.mask[number])[0]
        if self.ignore is not None:
            ignore = read_planes(self.ignore[number])[0]
        else:
            ignore = planes[2] if len(planes) == 3 else np.zeros_like(image)
        return image + np.float32(self._sky(number, rng)), mask, ignore

    def split(self) -> tuple[Pairs, Pairs]:
        """The first nine tenths to train on, and the last to validate with, as deepCR does."""
        count = len(self)
        first, last = _parts(count)
        return self._part(first), self._part(last)

    def _part(self, part: slice) -> Pairs:
        return replace(
            self,
            image=self.image[part],
            mask=None if self.mask is None else self.mask[part],
            ignore=None if self.ignore is None else self.ignore[part],
            sky=None if self.sky is None else self.sky[part],
        )

    def _sky(self, number: int, rng: np.random.Generator) -> float:
        if not any(self.aug_sky):
            return 0.0
        level = _level(self.sky, self.image, number)
        return level * float(rng.uniform(*self.aug_sky))


@dataclass(frozen=True)
class Simulated:
    """Clean images, and dark frames with cosmic rays to add to them.

    `image` lists arrays or .npy files of shape (H, W) or (2, H, W): image and pixels to ignore;
    `cosmic_rays` of shape (2, H, W): charge and mask. Each draw adds `n_mask` of these to
    (image + a * sky) * b, with a in `aug_sky` and b log-uniform in `aug_img`, adds photon noise
    where `noise`, and stops at `saturation`.
    """

    image: Sequence[Item]
    cosmic_rays: Sequence[Item]
    sky: NDArray[np.floating] | None = None
    aug_sky: tuple[float, float] = (0.0, 0.0)
    aug_img: tuple[float, float] = (1.0, 1.0)
    noise: bool = False
    saturation: float = 1e5
    n_mask: int = 1

    def __len__(self) -> int:
        return len(self.image)

    def draw(self, number: int, rng: np.random.Generator) -> Labelled:
        """The image of that number under cosmic rays drawn anew."""
        planes = read_planes(self.image[number])
        chosen = rng.integers(0, len(self.cosmic_rays), self.n_mask)
        rays = [read_planes(self.cosmic_rays[int(one)]) for one in chosen]
        if any(len(one) < 2 for one in rays):
            raise UnreadableFile("a dark frame needs two planes: the charge and its mask")
        sky = _level(self.sky, self.image, number) if any(self.aug_sky) else 0.0
        factor = float(np.exp(rng.uniform(*np.log(self.aug_img))))
        scene = (planes[0] + np.float32(sky * float(rng.uniform(*self.aug_sky)))) * factor
        image = scene + sum(one[0] for one in rays)
        if self.noise:
            image = image + rng.normal(0, np.sqrt(np.maximum(image, 1)))
        mask = np.any([one[1] > 0 for one in rays], axis=0).astype(np.float32)
        ignore = planes[1] if len(planes) > 1 else np.zeros_like(mask)
        return np.minimum(image, self.saturation).astype(np.float32), mask, ignore

    def split(self) -> tuple[Simulated, Simulated]:
        """Nine tenths of images and dark frames to train on, the last of both to validate with."""
        images, rays = _parts(len(self.image)), _parts(len(self.cosmic_rays))
        return self._part(images[0], rays[0]), self._part(images[1], rays[1])

    def stacking(self, n_mask: int) -> Simulated:
        """The same with another number of dark frames an image."""
        return replace(self, n_mask=n_mask)

    def _part(self, images: slice, rays: slice) -> Simulated:
        return replace(
            self,
            image=self.image[images],
            cosmic_rays=self.cosmic_rays[rays],
            sky=None if self.sky is None else self.sky[images],
        )


def _parts(count: int) -> tuple[slice, slice]:
    """What is trained on, and what is validated with; a single one is both."""
    first = max(1, int(count * (1 - VALIDATION_SHARE)))
    return slice(first), slice(min(first, count - 1), None)


def sky_levels(sky: ArrayLike | None, count: int) -> NDArray[np.floating] | None:
    """One sky level an image, from one for all or as many as there are images."""
    return None if sky is None else np.broadcast_to(np.asarray(sky, dtype=np.float64), (count,))


def read_planes(item: Item) -> NDArray[np.float32]:
    """An array or .npy file as planes, float32 (P, H, W). Raises UnreadableFile on others."""
    if isinstance(item, str | Path):
        try:
            values = np.load(item, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UnreadableFile(f"{item} is no array ({error}): give an .npy file") from error
    else:
        values = item
    planes = np.asarray(values, dtype=np.float32)
    if planes.ndim not in (2, 3):
        raise UnreadableFile(f"expected an image (H, W) or planes (P, H, W), got {planes.shape}")
    return planes if planes.ndim == 3 else planes[None]


def _level(sky: NDArray[np.floating] | None, images: Sequence[Item], number: int) -> float:
    if sky is not None:
        return float(sky[number])
    item = images[number]
    if isinstance(item, str | Path):
        path = Path(item)
        levels, leading = path.parent / "sky.npy", path.name.split("_")[0]
        if levels.is_file() and leading.isdigit():
            return float(np.load(levels, allow_pickle=False)[int(leading) - 1])
    raise UnreadableFile(
        f"no sky level for image {number}: give sky=..., or sky.npy beside files named NUMBER_*.npy"
    )
