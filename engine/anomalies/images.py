"""References of whole pictures: a folder's images, or crops of them, as normals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.anomalies.cutouts import MIN_FRAME_PX, whole_image
from engine.anomalies.embedders import Embedder
from engine.anomalies.fitting import Normals, fit_reference
from engine.anomalies.preprocessing import embedder_input
from engine.anomalies.reference import Reference
from engine.anomalies.scores.base import Features
from engine.errors import NotApplicable
from engine.frame import Frame

BATCH = 32
FEW_IMAGES = 150
CALIBRATE_SHARE, CALIBRATE_SHARE_FEW = 0.3, 0.5
CROP_FROM = 1.25


@dataclass(frozen=True)
class EmbeddedImages:
    """Embeddings float32 (N, D), and the source image's digest and source name of every row."""

    features: Features
    keys: tuple[str, ...]
    sources: tuple[str, ...]


def embed_images(frames: Iterable[Frame], embedder: Embedder) -> EmbeddedImages:
    """Embed every frame whole, in order. Raises NotApplicable below 16 px a side."""
    features, keys, sources = [], [], []
    waiting = []
    for frame in frames:
        if min(frame.height, frame.width) < MIN_FRAME_PX:
            raise NotApplicable(
                f"{frame.origin.object_id} has {frame.height} x {frame.width} px, at least "
                f"{MIN_FRAME_PX} a side are needed"
            )
        waiting.append(whole_image(frame))
        keys.append(frame.digest)
        sources.append(frame.origin.source)
        if len(waiting) == BATCH:
            features.append(embedder.embed(embedder_input(waiting)))
            waiting = []
    if waiting:
        features.append(embedder.embed(embedder_input(waiting)))
    empty = np.empty((0, embedder.dimension), dtype=np.float32)
    return EmbeddedImages(np.concatenate([empty, *features]), tuple(keys), tuple(sources))


def random_samples(
    frame: Frame, count: int, side_px: int | None, rng: np.random.Generator
) -> tuple[Frame, ...]:
    """`count` samples of a frame, each turned and mirrored at random.

    Where the frame's smaller side is at least 1.25 times `side_px`, a sample is a square of that
    side at a random place; otherwise it is the whole frame. Crops without a good pixel are drawn
    again, at most ten times as often as asked for.
    """
    crops = side_px is not None and min(frame.height, frame.width) >= CROP_FROM * side_px
    samples: list[Frame] = []
    for _ in range(10 * count):
        if len(samples) == count:
            break
        pixels, mask = frame.pixels, frame.mask
        if crops and side_px is not None:
            y = int(rng.integers(frame.height - side_px + 1))
            x = int(rng.integers(frame.width - side_px + 1))
            window = np.s_[..., y : y + side_px, x : x + side_px]
            pixels, mask = pixels[window], mask[window]
        if mask.all():
            continue
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        pixels, mask = np.rot90(pixels, turns, (-2, -1)), np.rot90(mask, turns)
        if mirror:
            pixels, mask = pixels[..., ::-1], mask[..., ::-1]
        samples.append(
            Frame.of(
                np.ascontiguousarray(pixels),
                frame.origin,
                mask=np.ascontiguousarray(mask),
                unit=frame.unit,
                sample_type=frame.sample_type,
            )
        )
    return tuple(samples)


def fit_images(
    name: str,
    images: EmbeddedImages,
    embedder: Embedder,
    *,
    domain: Sequence[str],
) -> Reference:
    """Fit a reference on embedded images, split by source image.

    A share of 0.3 of the images calibrates, 0.5 where there are fewer than 150 images. Raises
    CalibrationError when that leaves too few.
    """
    few = len(set(images.keys)) < FEW_IMAGES
    normals = Normals(
        features=images.features,
        keys=images.keys,
        parts=embedder.parts,
        embedder=embedder.name,
        domain=tuple(domain),
        kinds=("image",),
    )
    return fit_reference(name, normals, calibrate=CALIBRATE_SHARE_FEW if few else CALIBRATE_SHARE)
