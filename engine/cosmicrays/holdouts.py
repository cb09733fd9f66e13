"""The frames that figures are reported on, named before training; none of them is trained on.

Report: `holdout-cr` (simulated, mixed), `crowded-cr` (simulated, crowded), `wfpc2` (omega Cen chip
3), `hrc` (47 Tuc rows 720-1023) with hits that no network trains on, and the STIS pair.
Validation and temperature: 47 Tuc rows 528-703, omega Cen chip 2 and `validate-cr`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine.cosmicrays.bases import (
    ACS_HRC_47_TUC,
    ACS_HRC_CALIBRATION_ROWS,
    ACS_HRC_REPORT_ROWS,
    WFPC2_CALIBRATION_CHIPS,
    WFPC2_OMEGA_CEN,
    WFPC2_REPORT_CHIPS,
    Base,
    read_47_tuc,
    read_omega_cen,
)
from engine.cosmicrays.curriculum import (
    LSST_BRIGHTNESS,
    LSST_HITS,
    SIMULATED_BRIGHTNESS,
    HitMixture,
    crowded_conditions,
    simulated_base,
    simulated_hits,
)
from engine.cosmicrays.hits import DrawHit, add_charge, hit_labels, read_hits, scatter_hits
from engine.cosmicrays.stis import STIS_READ_NOISE_E, pair_hits, read_pair
from engine.frame import Mask, Pixels
from engine.sky import simulate_field
from engine.split import Split

HOLDOUT_NIGHT = "holdout-cr"
VALIDATION_NIGHT = "validate-cr"
CROWDED_NIGHT = "crowded-cr"
HOLDOUT_FRAMES = 4
CROWDED_FRAMES = 3
HOLDOUT_PX = 512
HOLDOUT_SHARE = 0.004
CROWDED_STARS = 6000
STAR_CORE_SIGMA = 10.0
NO_SPREAD = (0.0, 0.25)


@dataclass(frozen=True)
class LabelledFrame:
    """A frame in electrons with its cosmic-ray truth; `ignore` pixels are left out of figures.

    `clean` is the same field without hits: before injection, or the pair's combination. `cores`
    marks pixels in the cores of stars, where they are known.
    """

    dataset: str
    name: str
    pixels: Pixels = field(repr=False)
    clean: Pixels = field(repr=False)
    truth: Mask = field(repr=False)
    ignore: Mask = field(repr=False)
    read_noise_e: float
    cores: Mask | None = field(default=None, repr=False)


def simulated_holdout(
    folder: Path | None,
    *,
    night: str = HOLDOUT_NIGHT,
    frames: int = HOLDOUT_FRAMES,
    size: int = HOLDOUT_PX,
) -> Iterator[LabelledFrame]:
    """A simulated night by the simulator of `engine.sky`, which no network is trained on.

    Tracks are of other seeds than any training; half of the hits are of the LSST library's test
    split where `folder` has it.
    """
    rng = _generator(night)
    hits = held_out_hits(rng, folder, "test" if night == HOLDOUT_NIGHT else "calibrate")
    for number in range(frames):
        base = simulated_base(rng, size)
        yield _injected(rng, base, hits, night, f"{night}-{number:04d}")


def crowded_holdout(
    folder: Path | None, *, frames: int = CROWDED_FRAMES, size: int = HOLDOUT_PX
) -> Iterator[LabelledFrame]:
    """Simulated fields as crowded as a cluster, with the cores of their stars marked.

    A core is the three by three pixels around a star whose brightest pixel rises 10 sigma.
    """
    rng = _generator(CROWDED_NIGHT)
    hits = held_out_hits(rng, folder, "test")
    for number in range(frames):
        stars = int(CROWDED_STARS * (size / HOLDOUT_PX) ** 2)
        conditions = replace(crowded_conditions(rng, size), n_stars=stars, n_trails=0)
        conditions = replace(conditions, n_hot_columns=0)
        exposed = simulate_field(rng, conditions)
        never = np.zeros(exposed.clean.shape, dtype=bool)
        base = Base.of(exposed.clean, conditions.read_noise_e, never)
        frame = _injected(rng, base, hits, CROWDED_NIGHT, f"{CROWDED_NIGHT}-{number:04d}")
        places = [(thing.y, thing.x) for thing in exposed.truth.objects if thing.kind == "star"]
        yield replace(frame, cores=_cores_at(places, base))


def injected_holdouts(folder: Path) -> Iterator[LabelledFrame]:
    """Real exposures not trained on, one a data set, with hits that no network trains on.

    Half of the hits come from the STIS pair's test split, half from the LSST library's. The
    exposure's own hits are ignored by the sharp-peak rule, which knows no network.
    """
    rng = _generator("inject-cr")
    stis = pair_hits(read_pair(folder), split="test")
    lsst = read_hits(folder / LSST_HITS, split="test")
    hits = HitMixture((stis, lsst), (NO_SPREAD, LSST_BRIGHTNESS))
    chips = read_omega_cen(folder / WFPC2_OMEGA_CEN, WFPC2_REPORT_CHIPS)
    tuc = read_47_tuc(folder / ACS_HRC_47_TUC, ACS_HRC_REPORT_ROWS)
    for dataset, base in (("wfpc2", chips[0]), ("hrc", tuc)):
        yield replace(_injected(rng, base, hits, dataset, dataset), cores=star_cores(base))


def calibration_frames(folder: Path) -> Iterator[LabelledFrame]:
    """Real exposures for temperatures and choices only: parts of 47 Tuc and omega Cen.

    Hits: the LSST library's calibration split and tracks in thin silicon.
    """
    rng = _generator("calibrate-cr")
    hits = held_out_hits(rng, folder, "calibrate")
    tuc = read_47_tuc(folder / ACS_HRC_47_TUC, ACS_HRC_CALIBRATION_ROWS)
    yield _injected(rng, tuc, hits, "47 Tuc", "47 Tuc rows 528-703")
    for chip in read_omega_cen(folder / WFPC2_OMEGA_CEN, WFPC2_CALIBRATION_CHIPS):
        yield _injected(rng, chip, hits, "omega Cen", "omega Cen chip 2")


def stis_pair(folder: Path) -> Iterator[LabelledFrame]:
    """The two frames of the HST/STIS CR-split pair, with masks and ignore flags as they are.

    Raises UnreadableFile when the file is missing.
    """
    for frame in read_pair(folder):
        yield LabelledFrame(
            dataset="stis_pair",
            name=f"stis_pair {frame.letter}",
            pixels=frame.pixels,
            clean=frame.clean,
            truth=frame.truth,
            ignore=frame.ignore,
            read_noise_e=STIS_READ_NOISE_E,
        )


def held_out_hits(rng: np.random.Generator, folder: Path | None, split: Split) -> HitMixture:
    """Tracks in thin silicon and, where `folder` has it, as many of a split of the LSST library."""
    tracks = simulated_hits(rng, 300)
    if folder is None:
        return HitMixture((tracks,), (SIMULATED_BRIGHTNESS,))
    lsst = read_hits(folder / LSST_HITS, split=split)
    return HitMixture((tracks, lsst), (SIMULATED_BRIGHTNESS, LSST_BRIGHTNESS))


def star_cores(base: Base) -> Mask:
    """Peaks of a real frame that no hit makes: above 30 sigma, all four neighbours above 15 %."""
    excess = base.pixels - np.float32(base.scale.median)
    neighbours = np.stack([np.roll(excess, step, axis) for step in (1, -1) for axis in (0, 1)])
    highest = ndimage.maximum_filter(excess, 3)
    peak = (excess == highest) & (excess > 30 * base.scale.sigma)
    cores: Mask = peak & (neighbours.min(0) > 0.15 * excess) & ~base.ignore
    return cores


def _cores_at(places: list[tuple[float, float]], base: Base) -> Mask:
    """Three by three pixels around each place whose brightest rises 10 sigma over the sky."""
    marked = np.zeros(base.pixels.shape, dtype=bool)
    bright = base.pixels - np.float32(base.scale.median) > STAR_CORE_SIGMA * base.noise
    height, width = base.pixels.shape
    for y, x in places:
        row, column = round(y), round(x)
        if 1 <= row < height - 1 and 1 <= column < width - 1:
            window = (slice(row - 1, row + 2), slice(column - 1, column + 2))
            marked[window] |= bool(bright[window].any())
    return marked


def _injected(
    rng: np.random.Generator, base: Base, hits: DrawHit, dataset: str, name: str
) -> LabelledFrame:
    charge = scatter_hits(rng, base.pixels.shape, hits, HOLDOUT_SHARE)
    truth, ambiguous = hit_labels(charge, base.noise)
    return LabelledFrame(
        dataset=dataset,
        name=name,
        pixels=add_charge(rng, base.pixels, charge),
        clean=base.pixels,
        truth=truth,
        ignore=(ambiguous | base.ignore) & ~truth,
        read_noise_e=base.read_noise_e,
    )


def _generator(name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
