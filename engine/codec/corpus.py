"""The images the codec learns from and the ones it never sees, named before training."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.codec.mapping import HALF, SampleMapping
from engine.errors import ModelError
from engine.frame import Frame
from engine.reading import read_frames
from engine.sky import SimulatedFrame, simulated_frame, simulated_rover_frame
from engine.split import split_of

HELD_OUT_RAW = ("1N546228391", "1F490747543", "NLB_517071516", "boulder_shift", "no_change")
"""Parts of the names of lossless Mars images kept for measuring: two MER, one Navcam, all HiRISE.

The four HiRISE cubes show overlapping ground, so that they are held out together.
"""
TRAINING_NIGHT = "codec-training"
HELD_OUT_NIGHT = "codec-held-out"
SIMULATED_FRAMES = 64


@dataclass(frozen=True)
class Group:
    """Images of one kind, mapped to [-128, 127], drawn with weight `share`."""

    name: str
    share: float
    images: tuple[NDArray[np.float32], ...]


def training_groups(data: Path | None) -> tuple[Group, ...]:
    """Load everything the codec may learn from.

    `data` is the folder of real images; None trains on simulated ground and sky alone. Raises
    ModelError when the folder holds none of the sets.
    """
    simulated = (
        _group("simulated_ground", 0.08, _simulated(simulated_rover_frame, TRAINING_NIGHT)),
        _group("simulated_sky", 0.08, _simulated(simulated_frame, TRAINING_NIGHT)),
    )
    if data is None:
        return simulated
    real = (
        _group("landmarks", 0.36, _landmarks(data, "train")),
        _group("rover", 0.22, _rover(data, held_out=False)),
        _group("raw_mars", 0.26, _raw_mars(data, held_out=False)),
    )
    present = tuple(group for group in real if group.images)
    if not present:
        raise ModelError(f"no training images under {data}: point SKYSIEVE_DATA at the data folder")
    return present + simulated


def held_out_frames(data: Path | None, per_group: int) -> dict[str, list[Frame]]:
    """Up to `per_group` 8-bit frames of every group that training never touches.

    Groups: "landmarks" (HiRISE tiles of the test source images), "rover" (Navcam), "raw_mars"
    (lossless), "other_body" (no image of another body is ever trained on), and a simulated night
    of its own. Without `data` only the simulated groups remain. Deeper samples are brought to
    8 bits by the codec's own mapping, so that any codec can be measured on the same pixels.
    """
    streams = {
        "simulated_ground": _simulated(simulated_rover_frame, HELD_OUT_NIGHT),
        "simulated_sky": _simulated(simulated_frame, HELD_OUT_NIGHT),
    }
    if data is not None:
        streams |= {
            "landmarks": _landmarks(data, "test"),
            "rover": _rover(data, held_out=True),
            "raw_mars": _raw_mars(data, held_out=True),
            "other_body": lossless_frames(data, "other_body"),
        }
    groups = {
        name: [eight_bit(f) for f in islice(stream, per_group)] for name, stream in streams.items()
    }
    return {name: frames for name, frames in groups.items() if frames}


def held_out_rover_frames(data: Path) -> list[Frame]:
    """The held-out lossless rover frames in 8 bits, from their 0.01 to their 99.99 percentile."""
    rover = (f for f in _raw_mars(data, held_out=True) if "hirise" not in f.origin.uri)
    return [stretched(frame) for frame in rover]


def stretched(frame: Frame) -> Frame:
    """The frame in 8 bits, from its 0.01 to its 99.99 percentile."""
    low, high = np.percentile(frame.pixels[..., ~frame.mask], (0.01, 99.99))
    share = np.clip((frame.filled() - low) / max(high - low, 1e-30), 0.0, 1.0)
    levels = np.rint(255.0 * share).astype(np.uint8)
    return Frame.of(levels, frame.origin, mask=frame.mask)


def eight_bit(frame: Frame) -> Frame:
    """The frame in 8 bits, without its header; an 8-bit frame as it is."""
    if frame.sample_type == "uint8":
        return frame
    levels = np.rint(mapped_samples(frame) + HALF).astype(np.uint8)
    return Frame.of(levels, frame.origin, mask=frame.mask)


def _group(name: str, share: float, frames: Iterator[Frame]) -> Group:
    return Group(name, share, tuple(mapped_samples(frame) for frame in frames))


def mapped_samples(frame: Frame) -> NDArray[np.float32]:
    """The frame in the network's range, as training sees it."""
    good = frame.pixels[..., ~frame.mask]
    return SampleMapping.of(good, frame.sample_type).forward(frame.filled())


def _simulated(make: Callable[[str, int], SimulatedFrame], night: str) -> Iterator[Frame]:
    for index in range(SIMULATED_FRAMES):
        yield make(night, index).frame


def _landmarks(data: Path, split: str) -> Iterator[Frame]:
    """HiRISE tiles; in the test split one tile of each source image, so that all are seen."""
    seen: set[str] = set()
    for row in _rows(data / "mars" / "hirise_landmarks.csv"):
        if row["split"] != split or (split == "test" and row["source_image"] in seen):
            continue
        seen.add(row["source_image"])
        yield _read(data / "mars" / row["file"])


def _rover(data: Path, *, held_out: bool) -> Iterator[Frame]:
    """Navcam images, split by the hash of the clock count, which stereo partners share."""
    for row in _rows(data / "mars" / "ai4mars_256.csv"):
        is_held_out = split_of(row["sclk"], calibrate=0.0, test=0.1) == "test"
        if is_held_out == held_out:
            yield _read(data / "mars" / "ai4mars_256" / "images" / f"{row['id']}.jpg")


def is_held_out(frame: Frame) -> bool:
    """Whether a lossless Mars frame is kept for measuring."""
    return any(part in frame.origin.uri for part in HELD_OUT_RAW)


def _raw_mars(data: Path, *, held_out: bool) -> Iterator[Frame]:
    for frame in lossless_frames(data, "train"):
        if is_held_out(frame) == held_out:
            yield frame


def lossless_frames(data: Path, split: str) -> Iterator[Frame]:
    """Frames that no lossy coder touched on Earth: `split` "train" is Mars, or "other_body"."""
    for row in _rows(data / "mars" / "full_lossless.csv"):
        if row["split"] == split:
            yield _read(data / "mars" / row["file"])


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _read(path: Path) -> Frame:
    frame = read_frames(path, source="training").frames[0]
    if frame.planes == 1:
        return frame
    grey = np.rint(frame.pixels.mean(axis=0)).astype(frame.sample_type)
    return Frame.of(grey, frame.origin, mask=frame.mask)
