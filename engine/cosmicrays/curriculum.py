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
from engine.cosmicrays.hits import EIGHT_NEIGHBOURS, HitLibrary, read_hits
from engine.cosmicrays.patches import PatchSource
from engine.frame import Pixels
from engine.sky import FieldConditions, cosmic_ray_hits, simulate_field

LSST_HITS = "hits_lsst_itl.npz"
TRAINING_FIELDS = 900
SIMULATED_HITS = 3000
FIELD_PX = 256
SHARPEST_STAR_PX, SOFTEST_SHARP_STAR_PX = 1.5, 2.8
FAINTEST_HIT_E = 200.0
SHARES = {"simulated": 0.82, "47 Tuc": 0.15, "omega Cen": 0.03}
LSST_BRIGHTNESS = (-0.4, 0.6)
SIMULATED_BRIGHTNESS = (0.0, 0.5)


def training_source(
    seed: int, folder: Path | None, *, fields: int = TRAINING_FIELDS
) -> PatchSource:
    """Assemble the training data of the shipped networks.

    `folder` holds the real exposures and hits, None for simulations alone. Nothing of the
    STIS pair enters: neither its pixels nor hits cut from it.
    """
    rng = np.random.default_rng([seed, 1])
    simulated = [simulated_base(rng) for _ in range(fields)]
    tracks = simulated_hits(rng, SIMULATED_HITS)
    if folder is None:
        return PatchSource([simulated], [1.0], HitMixture((tracks,), (SIMULATED_BRIGHTNESS,)))
    lsst = read_hits(folder / LSST_HITS, split="fit")
    return PatchSource(
        [
            simulated,
            [read_47_tuc(folder / ACS_HRC_47_TUC)],
            read_omega_cen(folder / WFPC2_OMEGA_CEN),
        ],
        list(SHARES.values()),
        HitMixture((tracks, lsst), (SIMULATED_BRIGHTNESS, LSST_BRIGHTNESS)),
    )


def described_data(folder: Path | None) -> str:
    """What `training_source` draws from, for a model card."""
    simulated = (
        f"{TRAINING_FIELDS} simulated fields of {FIELD_PX} pixels (crowding, seeing, sky and read "
        "noise varied), hits injected with exact labels: above 3 sigma of the local noise, joined "
        "to 6 sigma, 0.75-3 sigma ignored."
    )
    if folder is None:
        return f"{simulated} Hits simulated."
    return (
        f"{simulated} Bases {SHARES['simulated']:.0%} simulated, {SHARES['47 Tuc']:.0%} "
        f"HST/ACS/HRC 47 Tuc rows 0-511, {SHARES['omega Cen']:.0%} HST/WFPC2 omega Cen chips "
        "0-2, their sharp unlabelled peaks ignored. Hits half simulated, half real from LSST ITL "
        "CCD darks (fit split). Nothing of the STIS pair: neither its pixels nor the hits cut "
        "from that field."
    )


class HitMixture:
    """Draws from several libraries in equal shares, each hit brightened by a log-normal factor."""

    def __init__(
        self, libraries: tuple[HitLibrary, ...], brightness: tuple[tuple[float, float], ...]
    ) -> None:
        self._sources = list(zip(libraries, brightness, strict=True))

    def __call__(self, rng: np.random.Generator) -> Pixels:
        library, (shift, spread) = self._sources[rng.integers(len(self._sources))]
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


def simulated_hits(rng: np.random.Generator, count: int) -> HitLibrary:
    """Cut about `count` single hits out of simulated exposures of a few charge diffusions."""
    stamps: list[Pixels] = []
    while len(stamps) < count:
        diffusion = float(rng.uniform(0.15, 0.6))
        charge, _ = cosmic_ray_hits(rng, (1024, 1024), 400, diffusion_px=diffusion)
        groups, _ = ndimage.label(charge > 0, structure=EIGHT_NEIGHBOURS)
        for number, window in enumerate(ndimage.find_objects(groups), start=1):
            stamp = np.where(groups[window] == number, charge[window], 0).astype(np.float32)
            if stamp.sum() >= FAINTEST_HIT_E:
                stamps.append(stamp)
    return HitLibrary("simulated", tuple(stamps))
