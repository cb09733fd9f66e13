"""The frames that figures are reported on, named before training; none of them is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.cosmicrays.bases import (
    ACS_HRC_47_TUC,
    ACS_HRC_CALIBRATION_ROWS,
    WFPC2_CALIBRATION_CHIPS,
    WFPC2_OMEGA_CEN,
    Base,
    read_47_tuc,
    read_omega_cen,
)
from engine.cosmicrays.curriculum import (
    LSST_BRIGHTNESS,
    LSST_HITS,
    SIMULATED_BRIGHTNESS,
    HitMixture,
    simulated_base,
    simulated_hits,
)
from engine.cosmicrays.hits import DrawHit, add_charge, hit_labels, read_hits, scatter_hits
from engine.errors import UnreadableFile
from engine.frame import Mask, Pixels

HOLDOUT_NIGHT = "holdout-cr"
HOLDOUT_FRAMES = 6
HOLDOUT_PX = 512
HOLDOUT_SHARE = 0.004
STIS_PAIR = "stis_pair.npz"
STIS_READ_NOISE_E = 5.5


@dataclass(frozen=True)
class LabelledFrame:
    """A frame in electrons with its cosmic-ray truth; `ignore` pixels are left out of figures.

    `clean` is the same field without hits: before injection, or the pair's combination.
    """

    dataset: str
    name: str
    pixels: Pixels = field(repr=False)
    clean: Pixels = field(repr=False)
    truth: Mask = field(repr=False)
    ignore: Mask = field(repr=False)
    read_noise_e: float


def simulated_holdout(
    folder: Path | None, *, frames: int = HOLDOUT_FRAMES, size: int = HOLDOUT_PX
) -> Iterator[LabelledFrame]:
    """The simulated night "holdout-cr": fields and tracks of other seeds than any training.

    Half of its hits are of the LSST library's test split where `folder` has it.
    """
    rng = _generator(HOLDOUT_NIGHT)
    tracks = simulated_hits(rng, 300)
    hits = HitMixture((tracks,), (SIMULATED_BRIGHTNESS,))
    if folder is not None:
        lsst = read_hits(folder / LSST_HITS, split="test")
        hits = HitMixture((tracks, lsst), (SIMULATED_BRIGHTNESS, LSST_BRIGHTNESS))
    for number in range(frames):
        base = simulated_base(rng, size)
        yield _injected(rng, base, hits, HOLDOUT_NIGHT, f"{HOLDOUT_NIGHT}-{number:04d}")


def calibration_frames(folder: Path) -> Iterator[LabelledFrame]:
    """Real exposures for temperatures only: parts of 47 Tuc and omega Cen not trained on.

    Hits come from the LSST library's calibration split.
    """
    rng = _generator("calibrate-cr")
    hits = HitMixture((read_hits(folder / LSST_HITS, split="calibrate"),), (LSST_BRIGHTNESS,))
    tuc = read_47_tuc(folder / ACS_HRC_47_TUC, ACS_HRC_CALIBRATION_ROWS)
    yield _injected(rng, tuc, hits, "47 Tuc", "47 Tuc rows 512-1023")
    for chip in read_omega_cen(folder / WFPC2_OMEGA_CEN, WFPC2_CALIBRATION_CHIPS):
        yield _injected(rng, chip, hits, "omega Cen", "omega Cen chip 3")


def stis_pair(folder: Path) -> Iterator[LabelledFrame]:
    """The two frames of the HST/STIS CR-split pair, with masks and ignore flags as they are.

    Raises UnreadableFile when the file is missing.
    """
    path = folder / STIS_PAIR
    if not path.is_file():
        raise UnreadableFile(f"{path} is missing: point SKYSIEVE_DATA at the real images")
    with np.load(path) as pair:
        for letter in "AB":
            yield LabelledFrame(
                dataset="stis_pair",
                name=f"stis_pair {letter}",
                pixels=pair[letter].astype(np.float32),
                clean=pair["clean"].astype(np.float32),
                truth=pair[f"mask_{letter}"].astype(bool),
                ignore=pair[f"ignore_{letter}"].astype(bool),
                read_noise_e=STIS_READ_NOISE_E,
            )


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
