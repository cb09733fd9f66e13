"""References of people's own images: whole pictures, samples of them, or their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.cutouts import (
    MIN_FRAME_PX,
    Cutout,
    areas_of,
    cutouts_of,
    resolve_mode,
    whole_image,
)
from engine.anomalies.embedders import Embedder
from engine.anomalies.fitting import Normals, fit_both_halves
from engine.anomalies.policy import DEFAULT_LIMIT
from engine.anomalies.preprocessing import embedder_input
from engine.anomalies.reference import Reference
from engine.anomalies.scores.base import Features
from engine.anomalies.simulated import CosmicRayCleaner
from engine.errors import NotApplicable
from engine.frame import Frame
from engine.policy import generator_for
from engine.results import CosmicRayResult

BATCH = 32
CROP_FROM = 1.25


@dataclass(frozen=True)
class EmbeddedImages:
    """Embeddings float32 (N, D), and the source image's digest and cutout kind of every row.

    `areas` float64 (N,) are source areas in px, NaN for whole images.
    """

    features: Features
    keys: tuple[str, ...]
    kinds: tuple[str, ...]
    areas: NDArray[np.float64]

    @property
    def main_kind(self) -> str:
        """The kind of cutout that most rows have."""
        return max(sorted(set(self.kinds)), key=self.kinds.count, default="image")

    def of_kind(self, kind: str) -> EmbeddedImages:
        """The rows of one kind of cutout."""
        rows = [row for row, other in enumerate(self.kinds) if other == kind]
        keys = tuple(self.keys[row] for row in rows)
        return EmbeddedImages(self.features[rows], keys, (kind,) * len(rows), self.areas[rows])


def embed_images(frames: Iterable[Frame], embedder: Embedder) -> EmbeddedImages:
    """Embed every frame whole, in order. Raises NotApplicable below 16 px a side."""
    return _embedded((_whole(frame) for frame in frames), embedder)


def embed_cutouts(
    frames: Iterable[Frame],
    embedder: Embedder,
    *,
    clean: Callable[[Frame], CosmicRayResult | None],
    limit: int = DEFAULT_LIMIT,
) -> EmbeddedImages:
    """Embed what a run with the default policy would judge: pictures whole, else their sources."""

    def cut(frame: Frame) -> tuple[str, tuple[Cutout, ...]]:
        whole = resolve_mode(frame, "auto") == "image"
        found = None if whole else clean(frame)
        return frame.digest, cutouts_of(frame, limit=limit, cosmic_rays=found)

    return _embedded((cut(frame) for frame in frames), embedder)


def cleaner_of(pipeline: CosmicRayCleaner) -> Callable[[Frame], CosmicRayResult | None]:
    """What a scan would know of a frame's cosmic rays, None where the pipeline does not apply."""

    def clean(frame: Frame) -> CosmicRayResult | None:
        try:
            return pipeline.run(frame, generator_for(frame.digest, 0))
        except NotApplicable:
            return None

    return clean


def _whole(frame: Frame) -> tuple[str, tuple[Cutout, ...]]:
    if min(frame.height, frame.width) < MIN_FRAME_PX:
        raise NotApplicable(
            f"{frame.origin.object_id} has {frame.height} x {frame.width} px, at least "
            f"{MIN_FRAME_PX} a side are needed"
        )
    return frame.digest, (whole_image(frame),)


def _embedded(
    pieces: Iterable[tuple[str, tuple[Cutout, ...]]], embedder: Embedder
) -> EmbeddedImages:
    features = [np.empty((0, embedder.dimension), dtype=np.float32)]
    keys: list[str] = []
    kinds: list[str] = []
    waiting: list[Cutout] = []
    areas = [np.empty(0)]
    for key, cutouts in pieces:
        waiting += cutouts
        keys += [key] * len(cutouts)
        kinds += [cutout.kind for cutout in cutouts]
        areas.append(areas_of(cutouts))
        if len(waiting) >= BATCH:
            features.append(embedder.embed(embedder_input(waiting, side=embedder.input_side)))
            waiting = []
    features.append(embedder.embed(embedder_input(waiting, side=embedder.input_side)))
    return EmbeddedImages(
        np.concatenate(features), tuple(keys), tuple(kinds), np.concatenate(areas)
    )


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

    Only rows of the most frequent kind of cutout count. One half of the images is fitted and the
    other calibrates, and the other way round (`fit_both_halves`), so that the images of the
    reference can be judged too. Raises CalibrationError when that leaves too few.
    """
    kind = images.main_kind
    images = images.of_kind(kind)
    normals = Normals(
        features=images.features,
        keys=images.keys,
        parts=embedder.parts,
        embedder=embedder.name,
        domain=tuple(domain),
        kinds=(kind,),
        input_side=embedder.input_side,
        areas=images.areas,
    )
    return fit_both_halves(name, normals)
