"""Symbol tables as the trained network's symbols really fall, instead of as a Gaussian's would.

Rate-distortion optimised symbols are zero more often than the Gaussian of their predicted scale
says, and tails are heavier. Training images are coded at many steps; the symbols of each level are
counted, both signs alike, and mixed with the Gaussian's counts so that rare levels keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.codec.augmentation import draw_crops
from engine.codec.corpus import Group
from engine.codec.learned import TileEncoder, code_tiles
from engine.codec.model import CodecModel, freeze
from engine.codec.network import DropoutAutoencoder
from engine.codec.tables import TOTAL, SymbolTables, gaussian_tables
from engine.codec.transform import analyse

CROPS, SIDE = 96, 192
STEPS_FITTED = tuple(range(44, 172, 8))
"""From q = 1.9 to 90."""
GAUSSIAN_WEIGHT = 400.0
"""The Gaussian counts as much as so many symbols of each level."""
ROUNDS = 2


def fitted_tables(
    network: DropoutAutoencoder, groups: tuple[Group, ...], seed: int, rounds: int = ROUNDS
) -> SymbolTables:
    """Fit the tables on crops of training images, starting from the Gaussian's."""
    crops = draw_crops(groups, CROPS, SIDE, np.random.default_rng([seed, 0x7AB1E]))[:, 0]
    tables = gaussian_tables()
    for _ in range(rounds):
        model = CodecModel.from_bytes(freeze(network, tables))
        tables = _refitted(model, crops)
    return tables


def _refitted(model: CodecModel, crops: NDArray[np.float32]) -> SymbolTables:
    prior = gaussian_tables().halves
    counts = [np.zeros(len(half)) for half in prior]
    tiles = [TileEncoder(model, *analyse(model, crop)) for crop in crops]
    for number, step in enumerate(STEPS_FITTED):
        some = tiles[number % 4 :: 4]
        code_tiles(some, step)
        for tile in some:
            _count(tile, step, counts)
    return SymbolTables(
        tuple(_mixed(found, half) for found, half in zip(counts, prior, strict=True))
    )


def _count(tile: TileEncoder, step: int, counts: Sequence[NDArray[np.float64]]) -> None:
    symbols, levels = tile.coded(step)
    size = np.abs(symbols).ravel()
    for level in np.unique(levels):
        here = size[levels.ravel() == level]
        table = counts[int(level)]
        table += np.bincount(np.minimum(here, len(table) - 1), minlength=len(table))


def _mixed(found: NDArray[np.float64], gaussian: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts that sum to 2^24 with both signs, from those found and the Gaussian's."""
    mass = gaussian / TOTAL
    both = np.concatenate([found[:1], found[1:-1] / 2.0, found[-1:]])
    share = (both + GAUSSIAN_WEIGHT * mass) / (found.sum() + GAUSSIAN_WEIGHT)
    made = np.asarray(np.maximum(np.floor(share * (TOTAL - 4 * len(mass))), 1), np.int64)
    made[0] = TOTAL - made[-1] - 2 * made[1:-1].sum()
    return made
