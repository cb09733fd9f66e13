"""Simulated nights as normals and as a test: the same detection, cutouts and embedder as a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.cutouts import Cutout, cutouts_of
from engine.anomalies.embedders import Embedder
from engine.anomalies.fitting import Normals
from engine.anomalies.policy import DEFAULT_LIMIT
from engine.anomalies.preprocessing import embedder_input
from engine.anomalies.reference import source_family
from engine.anomalies.scores.base import Features
from engine.frame import Frame, Mask, Origin, Pixels
from engine.policy import generator_for
from engine.results import CosmicRayResult
from engine.sky import SimulatedFrame, Truth, simulate_field, simulated_frame
from engine.sky.night import night_conditions

REFERENCE_NIGHT = "reference"
HELD_OUT_NIGHT = "held-out"
INJECTED_NIGHT = "injected"
FRAMES_PER_NIGHT = 25
INJECTED_SHARE = 0.4
NORMAL, ANOMALY, UNCLEAR = "normal", "anomaly", "unclear"

Cleaner = Callable[[SimulatedFrame], CosmicRayResult]


class CosmicRayCleaner(Protocol):
    """A pipeline that finds and removes cosmic rays."""

    def run(self, frame: Frame, rng: np.random.Generator) -> CosmicRayResult:
        """Analyse one frame."""
        ...


@dataclass(frozen=True)
class TruthMatch:
    """What a detection really is: `status` normal, anomaly or unclear, and the object's kind."""

    status: str
    kind: str | None


@dataclass(frozen=True)
class Sample:
    """Detections of many frames: `features` float32 (N, D); the rest has one entry a row.

    `nuisances` float64 (N, 3) are the source's area in px, its flux and its signal to noise.
    """

    features: Features
    keys: tuple[str, ...]
    sources: tuple[str, ...]
    matches: tuple[TruthMatch, ...]
    nuisances: NDArray[np.float64]

    def rows(self, status: str) -> np.ndarray:
        """Row numbers of one status, int64."""
        return np.flatnonzero([match.status == status for match in self.matches])


def reference_frames(count: int, *, size: int = 256) -> Iterator[SimulatedFrame]:
    """Frames of the nights reference-000, reference-001, ..., 25 a night."""
    for number in range(count):
        night = f"{REFERENCE_NIGHT}-{number // FRAMES_PER_NIGHT:03d}"
        yield simulated_frame(night, number % FRAMES_PER_NIGHT, size=size)


def held_out_frames(count: int, *, first: int = 0, size: int = 256) -> Iterator[SimulatedFrame]:
    """Frames of the nights held-out-000, held-out-001, ..., 25 a night: for test normals."""
    for number in range(first, first + count):
        night = f"{HELD_OUT_NIGHT}-{number // FRAMES_PER_NIGHT:03d}"
        yield simulated_frame(night, number % FRAMES_PER_NIGHT, size=size)


def injected_frames(count: int, seed: int, *, size: int = 256) -> Iterator[SimulatedFrame]:
    """Frames under a night's conditions, two galaxies in five anomalous: for test anomalies.

    Their normals are not used: anomalies beside them spoil their surroundings.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, 0x0DD, number])
        conditions = replace(night_conditions(rng, size), anomaly_share=INJECTED_SHARE)
        field = simulate_field(rng, conditions)
        origin = Origin(f"sim:{INJECTED_NIGHT}", f"{INJECTED_NIGHT}-{seed}-{number:04d}")
        frame = Frame.of(field.pixels, origin, unit="electron", sample_type="float32")
        yield SimulatedFrame(frame, field.truth)


def collect(
    frames: Iterable[SimulatedFrame],
    embedder: Embedder,
    *,
    clean: Cleaner,
    limit: int = DEFAULT_LIMIT,
    on_frame: Callable[[int], None] = lambda _: None,
) -> Sample:
    """Detect, cut out and embed every frame's sources, and match them with the truth."""
    features = [np.empty((0, embedder.dimension), dtype=np.float32)]
    keys, sources, matches, nuisances = [], [], [], [np.empty((0, 3))]
    for number, simulated in enumerate(frames):
        frame = simulated.frame
        cutouts = cutouts_of(frame, limit=limit, cosmic_rays=clean(simulated))
        if cutouts:
            features.append(embedder.embed(embedder_input(cutouts, side=embedder.input_side)))
        keys += [frame.digest] * len(cutouts)
        sources += [frame.origin.source] * len(cutouts)
        matches += [match_truth(cutout, simulated.truth) for cutout in cutouts]
        nuisances.append(np.array([_nuisances(cutout) for cutout in cutouts]).reshape(-1, 3))
        on_frame(number)
    return Sample(
        np.concatenate(features),
        tuple(keys),
        tuple(sources),
        tuple(matches),
        np.concatenate(nuisances),
    )


def _nuisances(cutout: Cutout) -> list[float]:
    values = (cutout.area_px, cutout.flux, cutout.snr)
    return [float("nan") if value is None else float(value) for value in values]


def match_truth(cutout: Cutout, truth: Truth) -> TruthMatch:
    """Match a detection with the brightest object within 5 px (or its half-light radius).

    Unclear: near an anomaly without being it, on an artefact, or no object there at all.
    """
    height, width = truth.artefacts.shape
    y, x = min(max(round(cutout.y), 0), height - 1), min(max(round(cutout.x), 0), width - 1)
    distance = [np.hypot(o.x - cutout.x, o.y - cutout.y) for o in truth.objects]
    near = [
        thing
        for thing, apart in zip(truth.objects, distance, strict=True)
        if apart <= max(5.0, thing.size_px)
    ]
    if near:
        brightest = max(near, key=lambda thing: thing.flux_e)
        if brightest.is_anomaly:
            return TruthMatch(ANOMALY, brightest.kind)
    spoiled = bool(truth.artefacts[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any())
    beside_anomaly = any(
        thing.is_anomaly and apart <= cutout.size_px / 2
        for thing, apart in zip(truth.objects, distance, strict=True)
    )
    if spoiled or beside_anomaly or not near:
        return TruthMatch(UNCLEAR, None)
    return TruthMatch(NORMAL, brightest.kind)


def normals_of(sample: Sample, embedder: Embedder) -> Normals:
    """The rows to fit on: all but anomalies and what touches them."""
    rows = sample.rows(NORMAL)
    return Normals(
        features=sample.features[rows],
        keys=[sample.keys[row] for row in rows],
        parts=embedder.parts,
        embedder=embedder.name,
        domain=tuple(sorted({source_family(sample.sources[row]) for row in rows})),
        labels=[sample.matches[row].kind or NORMAL for row in rows],
        input_side=embedder.input_side,
        areas=sample.nuisances[rows, 0],
    )


def cleaned_by_truth(simulated: SimulatedFrame) -> CosmicRayResult:
    """An ideal cosmic-ray result: the true mask, its pixels replaced by the local median."""
    hits = simulated.truth.cosmic_rays
    certain = hits.astype(np.float32)
    none = np.zeros_like(certain)
    cleaned = replaced_by_median(simulated.frame.pixels, hits)
    return CosmicRayResult(certain, none, none, none, hits, cleaned, 0.5, 1, "truth")


def cleaned_by(pipeline: CosmicRayCleaner) -> Cleaner:
    """A cleaner that runs a cosmic-ray pipeline as a scan would."""

    def clean(simulated: SimulatedFrame) -> CosmicRayResult:
        frame = simulated.frame
        return pipeline.run(frame, generator_for(frame.digest, 0))

    return clean


def replaced_by_median(pixels: Pixels, bad: Mask) -> Pixels:
    """Pixels (H, W) with `bad` ones replaced by the median of the good ones within 7 x 7."""
    holed = np.where(bad, np.nan, pixels)
    filled = np.where(bad, np.nanmedian(holed), pixels).astype(np.float32)
    for y, x in np.argwhere(bad):
        around = holed[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
        if np.isfinite(around).any():
            filled[y, x] = np.nanmedian(around)
    return filled
