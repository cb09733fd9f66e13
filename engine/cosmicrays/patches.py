"""Patches: what one training step sees, hits injected into bases with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cosmicrays.exposures import Scene
from engine.cosmicrays.hits import DrawHit, noisy, pair_labels, scatter_hits
from engine.cosmicrays.scaling import NoiseScale

FEWEST_HITS, MOST_HITS = 0.001, 0.04
SCALE_JITTER = 0.15
LEVEL_JITTER_SIGMA = 0.1
NARROWEST_STRETCH, WIDEST_STRETCH = 1.05, 1.3


@dataclass(frozen=True)
class Batch:
    """`x` scaled pixels, `truth` 0 or 1, `weight` 0 where ignored; all float32 (B, 1, P, P)."""

    x: NDArray[np.float32]
    truth: NDArray[np.float32]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class PatchSource:
    """Scenes with the share of patches each group is drawn for, and the hits to inject."""

    groups: Sequence[Sequence[Scene]]
    shares: Sequence[float]
    draw_hit: DrawHit

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.shares) or not all(self.groups):
            raise ValueError("every group needs a share and at least one base")
        if not np.isclose(sum(self.shares), 1.0):
            raise ValueError(f"shares must sum to 1, got {sum(self.shares)}")

    def batch(self, rng: np.random.Generator, count: int, side: int) -> Batch:
        """Draw `count` patches of `side` pixels."""
        patches = [self._patch(rng, side) for _ in range(count)]
        x, truth, weight = (
            np.stack(plane)[:, None].astype(np.float32) for plane in zip(*patches, strict=True)
        )
        return Batch(x, truth, weight)

    def _patch(self, rng: np.random.Generator, side: int) -> list[NDArray[np.generic]]:
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        scene = group[int(rng.integers(len(group)))].exposure(rng, side)
        share = float(np.exp(rng.uniform(np.log(FEWEST_HITS), np.log(MOST_HITS))))
        charge = noisy(rng, scatter_hits(rng, (side, side), self.draw_hit, share))
        stretch = float(rng.uniform(NARROWEST_STRETCH, WIDEST_STRETCH))
        truth, ambiguous = pair_labels(rng, charge, scene.noise, scene.sigma, stretch)
        if scene.truth is not None:
            truth = truth | scene.truth
        ignore = (ambiguous | scene.ignore) & ~truth
        pixels = _jittered(rng, scene.scale, scene.pixels + charge)
        return _turned_alike(rng, [pixels, truth, ~ignore])


def _jittered(
    rng: np.random.Generator, scale: NoiseScale, pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale as inference does, with the level and noise a little off."""
    sigma = scale.sigma * float(np.exp(rng.normal(0, SCALE_JITTER)))
    level = scale.median + sigma * float(rng.normal(0, LEVEL_JITTER_SIGMA))
    return NoiseScale(level, sigma).apply(pixels)


def _turned_alike(
    rng: np.random.Generator, planes: list[NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    quarter_turns, flip = int(rng.integers(4)), int(rng.integers(2))
    turned = [np.rot90(plane, quarter_turns) for plane in planes]
    return [plane[::-1] if flip else plane for plane in turned]
