"""The HST/STIS CR-split pair: folds by rows, hits cut from it, frames to fine-tune on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine.cosmicrays.exposures import Exposure, Window, window_of
from engine.cosmicrays.hits import EIGHT_NEIGHBOURS, HitLibrary, label_noise
from engine.cosmicrays.scaling import NoiseScale
from engine.errors import UnreadableFile
from engine.frame import Mask, Pixels
from engine.split import Split, split_of

STIS_PAIR = "stis_pair.npz"
STIS_READ_NOISE_E = 5.5
ALL_ROWS = slice(0, 1024)
FOLDS = {"low": slice(0, 512), "high": slice(512, 1024)}
BORDER_MARGIN_PX = 16


@dataclass(frozen=True)
class StisFrame:
    """One exposure of the pair in electrons, and the other one; all planes (1024, 512)."""

    letter: str
    pixels: Pixels = field(repr=False)
    other: Pixels = field(repr=False)
    clean: Pixels = field(repr=False)
    truth: Mask = field(repr=False)
    ignore: Mask = field(repr=False)


def read_pair(folder: Path) -> tuple[StisFrame, StisFrame]:
    """Both frames with masks and ignore flags as they are.

    Raises UnreadableFile when the file is missing.
    """
    path = folder / STIS_PAIR
    if not path.is_file():
        raise UnreadableFile(f"{path} is missing: point SKYSIEVE_DATA at the real images")
    with np.load(path) as pair:
        planes = {name: pair[name] for name in pair.files}
    first, second = (
        StisFrame(
            letter=letter,
            pixels=planes[letter].astype(np.float32),
            other=planes[other].astype(np.float32),
            clean=planes["clean"].astype(np.float32),
            truth=planes[f"mask_{letter}"].astype(bool),
            ignore=planes[f"ignore_{letter}"].astype(bool),
        )
        for letter, other in ("AB", "BA")
    )
    return first, second


def training_rows(fold: str | None) -> slice:
    """Rows that a network may train on which is scored on the other fold; all rows for None.

    A margin of 16 rows, more than the networks' reach, is left out at the border.
    """
    if fold is None:
        return ALL_ROWS
    rows = FOLDS[fold]
    if rows.start == 0:
        return slice(0, rows.stop - BORDER_MARGIN_PX)
    return slice(rows.start + BORDER_MARGIN_PX, rows.stop)


def pair_hits(
    pair: tuple[StisFrame, StisFrame], rows: slice = ALL_ROWS, split: Split | None = None
) -> HitLibrary:
    """Cut the labelled hits that lie in `rows` out of the difference of the two frames.

    A stamp is the difference inside the mask, and one pixel around it what the difference has
    above one sigma. `split` chooses by hash of frame and place.
    """
    sky = float(np.median(pair[0].clean))
    stamps = [
        _stamp(frame, window, inside, sky)
        for frame in pair
        for window, inside in labelled_hits(frame, split)
        if rows.start <= window[0].start and window[0].stop <= rows.stop
    ]
    return HitLibrary(f"STIS rows {rows.start}-{rows.stop - 1}", tuple(stamps))


def labelled_hits(frame: StisFrame, split: Split | None = None) -> Iterator[tuple[Window, Mask]]:
    """The window around every labelled hit of a frame, and the hit's pixels in it."""
    groups, _ = ndimage.label(frame.truth, structure=EIGHT_NEIGHBOURS)
    for number, (rows, columns) in enumerate(ndimage.find_objects(groups), start=1):
        window = (rows, columns)
        name = f"stis/{frame.letter}/{window[0].start}/{window[1].start}"
        if split in (None, split_of(name)):
            inside: Mask = groups[window] == number
            yield window, inside


def _stamp(frame: StisFrame, window: Window, inside: Mask, sky: float) -> Pixels:
    rows, columns = (
        (max(side.start - 1, 0), min(side.stop + 1, length))
        for side, length in zip(window, frame.truth.shape, strict=True)
    )
    wider = (slice(*rows), slice(*columns))
    before = (window[0].start - rows[0], window[1].start - columns[0])
    after = (rows[1] - window[0].stop, columns[1] - window[1].stop)
    core = np.pad(inside, tuple(zip(before, after, strict=True)))
    difference = frame.pixels[wider] - frame.other[wider]
    noise = np.sqrt(2) * label_noise(frame.clean[wider], STIS_READ_NOISE_E, sky)
    rim = ndimage.binary_dilation(core, EIGHT_NEIGHBOURS) & ~core
    stamp: Pixels = np.where(core, difference, np.where(rim, difference - noise, 0))
    return np.maximum(stamp, 0).astype(np.float32)


@dataclass(frozen=True)
class LabelledScene:
    """Rows of a labelled frame as a scene to train on: its own hits count as they are labelled."""

    pixels: Pixels
    sigma: Pixels
    truth: Mask
    ignore: Mask
    scale: NoiseScale

    def exposure(self, rng: np.random.Generator, side: int) -> Exposure:
        """A window of `side` pixels with the hits that it has."""
        window = window_of(rng, self.pixels.shape, side)
        pixels = self.pixels[window]
        return Exposure(
            pixels,
            np.zeros_like(pixels),
            self.sigma[window],
            self.ignore[window],
            self.scale,
            self.truth[window],
        )


def pair_scenes(pair: tuple[StisFrame, StisFrame], rows: slice) -> tuple[LabelledScene, ...]:
    """The rows of both frames as scenes; hits of the test split are neither learnt nor scored."""
    return tuple(_scene(frame, rows) for frame in pair)


def _scene(frame: StisFrame, rows: slice) -> LabelledScene:
    secret = np.zeros(frame.truth.shape, dtype=bool)
    for window, inside in labelled_hits(frame, "test"):
        secret[window] |= inside
    secret = ndimage.binary_dilation(secret, EIGHT_NEIGHBOURS)
    scale = NoiseScale.of(frame.pixels)
    lower = np.minimum(frame.pixels, frame.other)
    return LabelledScene(
        pixels=frame.pixels[rows],
        sigma=label_noise(lower, STIS_READ_NOISE_E, scale.median)[rows],
        truth=(frame.truth & ~secret)[rows],
        ignore=(frame.ignore | secret)[rows],
        scale=scale,
    )
