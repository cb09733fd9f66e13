"""What the shipped networks are trained on: simulated fields, real exposures, real hits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine.cosmicrays.bases import (
    ACS_HRC_47_TUC,
    WFPC2_OMEGA_CEN,
    Base,
    read_47_tuc,
    read_omega_cen,
)
from engine.cosmicrays.exposures import Scene
from engine.cosmicrays.fields import FIELD_PX, random_field
from engine.cosmicrays.hits import EIGHT_NEIGHBOURS, HitLibrary, read_hits
from engine.cosmicrays.patches import PatchSource
from engine.cosmicrays.stis import pair_hits, pair_scenes, read_pair, training_rows
from engine.frame import Pixels
from engine.sky import FieldConditions, cosmic_ray_hits, simulate_field
from engine.sky.cosmicrays import THICK, THIN, Silicon

LSST_HITS = "hits_lsst_itl.npz"
TRAINING_FIELDS = 1000
TUNING_FIELDS = 300
STIS_SHARE, STIS_HIT_SHARE = 0.5, 0.5
STIS_BRIGHTNESS = (0.0, 0.3)
SIMULATED_HITS = 3000
SHARPEST_STAR_PX, SOFTEST_SHARP_STAR_PX = 1.5, 2.8
FAINTEST_HIT_E = 150.0
SHARES = {"simulated": 0.80, "47 Tuc": 0.16, "omega Cen": 0.04}
HIT_SHARES = {"thin": 0.55, "thick": 0.15, "LSST": 0.30}
LSST_BRIGHTNESS = (-0.6, 0.8)
SIMULATED_BRIGHTNESS = (-0.1, 0.6)
THICK_BRIGHTNESS = (-0.4, 0.6)
THIN_DIFFUSION_PX, THICK_DIFFUSION_PX = (0.12, 0.6), (0.3, 0.8)


def training_source(
    seed: int, folder: Path | None, *, fields: int = TRAINING_FIELDS, flaws: bool = False
) -> PatchSource:
    """Assemble the training data of the shipped networks; `flaws` for the second stage.

    `folder` holds the real exposures and hits, None for simulations alone. Nothing of the
    STIS pair enters: neither its pixels nor hits cut from it.
    """
    rng = np.random.default_rng([seed, 1])
    simulated: list[Scene] = [random_field(rng, flaws=flaws) for _ in range(fields)]
    if folder is None:
        return PatchSource([simulated], [1.0], training_hits(rng, None))
    return PatchSource(
        [
            simulated,
            [read_47_tuc(folder / ACS_HRC_47_TUC)],
            read_omega_cen(folder / WFPC2_OMEGA_CEN),
        ],
        list(SHARES.values()),
        training_hits(rng, folder),
    )


def stis_source(seed: int, folder: Path, fold: str | None) -> PatchSource:
    """Assemble the data that fits a network to the STIS CCD: half of it of that instrument.

    `fold` names the rows it may learn from, None all of them; the margin at the border and every
    hit of the test split are left out. The other half is as in `training_source`.
    """
    rng = np.random.default_rng([seed, 2])
    pair, rows = read_pair(folder), training_rows(fold)
    own = pair_hits(pair, rows, "fit") if fold is None else pair_hits(pair, rows)
    simulated: list[Scene] = [random_field(rng, flaws=True) for _ in range(TUNING_FIELDS)]
    general = training_hits(rng, folder)
    return PatchSource(
        [
            pair_scenes(pair, rows),
            simulated,
            [read_47_tuc(folder / ACS_HRC_47_TUC)],
            read_omega_cen(folder / WFPC2_OMEGA_CEN),
        ],
        [STIS_SHARE, *((1 - STIS_SHARE) * share for share in SHARES.values())],
        general.joined(own, STIS_BRIGHTNESS, STIS_HIT_SHARE),
    )


def training_hits(rng: np.random.Generator, folder: Path | None) -> HitMixture:
    """Tracks in thin and thick detectors and, where `folder` has it, the LSST library's fit split.

    No hit of the STIS pair.
    """
    thin = simulated_hits(rng, SIMULATED_HITS, THIN, THIN_DIFFUSION_PX)
    thick = simulated_hits(rng, SIMULATED_HITS // 2, THICK, THICK_DIFFUSION_PX)
    parts = [(thin, SIMULATED_BRIGHTNESS, HIT_SHARES["thin"])]
    parts.append((thick, THICK_BRIGHTNESS, HIT_SHARES["thick"]))
    if folder is not None:
        lsst = read_hits(folder / LSST_HITS, split="fit")
        parts.append((lsst, LSST_BRIGHTNESS, HIT_SHARES["LSST"]))
    return HitMixture(*zip(*parts, strict=True))


def described_data(folder: Path | None) -> str:
    """What `training_source` draws from, for a model card."""
    simulated = (
        f"{TRAINING_FIELDS} simulated fields of {FIELD_PX} pixels (optics, crowding, unresolved "
        "background), exposed anew for every patch (sky, read noise, warm and correlated pixels), "
        "hits injected and labelled as the difference of two exposures would: above 3 sigma, "
        "joined to 6 sigma."
    )
    if folder is None:
        return f"{simulated} Hits simulated in thin and thick silicon."
    return (
        f"{simulated} Bases {SHARES['simulated']:.0%} simulated, {SHARES['47 Tuc']:.0%} "
        f"HST/ACS/HRC 47 Tuc rows 0-511, {SHARES['omega Cen']:.0%} HST/WFPC2 omega Cen chips "
        "0-1, their sharp unlabelled peaks ignored. Hits simulated in thin and thick silicon, and "
        f"{HIT_SHARES['LSST']:.0%} real from LSST ITL CCD darks (fit split)."
    )


class HitMixture:
    """Draws from several libraries by their shares, each hit brightened by a log-normal factor."""

    def __init__(
        self,
        libraries: tuple[HitLibrary, ...],
        brightness: tuple[tuple[float, float], ...],
        shares: tuple[float, ...] | None = None,
    ) -> None:
        self._sources = list(zip(libraries, brightness, strict=True))
        even = np.ones(len(libraries)) if shares is None else np.asarray(shares)
        self._shares = even / even.sum()

    def joined(
        self, library: HitLibrary, brightness: tuple[float, float], share: float
    ) -> HitMixture:
        """This mixture, with a `share` of the hits drawn from one more library."""
        libraries, levels = zip(*self._sources, strict=True)
        shares = (*((1 - share) * self._shares), share)
        return HitMixture((*libraries, library), (*levels, brightness), shares)

    def __call__(self, rng: np.random.Generator) -> Pixels:
        chosen = int(rng.choice(len(self._sources), p=self._shares))
        library, (shift, spread) = self._sources[chosen]
        return library.draw(rng) * np.float32(np.exp(rng.normal(shift, spread)))


def crowded_conditions(rng: np.random.Generator, size: int = FIELD_PX) -> FieldConditions:
    """Conditions for training: up to a cluster's crowding, few stars as sharp as a hit.

    Stars narrower than 1.5 pixels cannot be told from compact hits by shape, and a network trained
    on many of them gives up both.
    """
    conditions = FieldConditions.sample(rng, size)
    fwhm_px = conditions.fwhm_px
    if fwhm_px < SHARPEST_STAR_PX:
        fwhm_px = float(rng.uniform(SHARPEST_STAR_PX, SOFTEST_SHARP_STAR_PX))
    stars = np.exp(rng.uniform(np.log(20), np.log(2500))) * (size / FIELD_PX) ** 2
    return replace(conditions, fwhm_px=fwhm_px, n_stars=int(stars))


def simulated_base(rng: np.random.Generator, size: int = FIELD_PX) -> Base:
    """One simulated exposure before any hit."""
    conditions = crowded_conditions(rng, size)
    field = simulate_field(rng, conditions)
    never = np.zeros(field.clean.shape, dtype=bool)
    return Base.of(field.clean, conditions.read_noise_e, never)


def simulated_hits(
    rng: np.random.Generator,
    count: int,
    silicon: Silicon = THIN,
    diffusion_px: tuple[float, float] = THIN_DIFFUSION_PX,
) -> HitLibrary:
    """Cut about `count` single hits out of simulated exposures of a range of charge diffusions."""
    stamps: list[Pixels] = []
    while len(stamps) < count:
        diffusion = float(rng.uniform(*diffusion_px))
        charge, _ = cosmic_ray_hits(rng, (512, 512), 400, diffusion_px=diffusion, silicon=silicon)
        groups, _ = ndimage.label(charge > 0, structure=EIGHT_NEIGHBOURS)
        for number, window in enumerate(ndimage.find_objects(groups), start=1):
            stamp = np.where(groups[window] == number, charge[window], 0).astype(np.float32)
            if stamp.sum() >= FAINTEST_HIT_E:
                stamps.append(stamp)
    return HitLibrary("simulated", tuple(stamps))
