"""The conditions under which one simulated frame is taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FieldConditions:
    """Sky, optics, detector and contents of one frame; counts are exact, rates are expectations.

    `size` is the side in pixels. `moffat_beta` None means a Gaussian. `background_e` is the sky
    level in electrons, changing by `background_gradient` of itself across the frame.
    `galaxy_snr` is the median signal-to-noise ratio of galaxies within two half-light radii.
    `cosmic_ray_rate` is hits per megapixel; `charge_diffusion_px` the width that they get while
    drifting to the pixels (thin detectors 0.2, thick ones 0.5). `full_well_e` is where pixels
    saturate and bleed. Raises ValueError on values without meaning.
    """

    size: int = 256
    fwhm_px: float = 2.2
    moffat_beta: float | None = 3.5
    background_e: float = 150.0
    background_gradient: float = 0.1
    read_noise_e: float = 5.0
    gain_e_per_adu: float = 1.5
    exposure_s: float = 120.0
    n_stars: int = 30
    n_galaxies: int = 6
    galaxy_snr: float = 120.0
    anomaly_share: float = 0.05
    cosmic_ray_rate: float = 400.0
    charge_diffusion_px: float = 0.3
    n_hot_columns: int = 0
    n_trails: int = 0
    n_streaks: int = 0
    n_ghosts: int = 0
    n_glows: int = 0
    n_bleeds: int = 0
    n_blocks: int = 0
    full_well_e: float = 90_000.0

    def __post_init__(self) -> None:
        positive = {
            "size": self.size,
            "fwhm_px": self.fwhm_px,
            "background_e": self.background_e,
            "gain_e_per_adu": self.gain_e_per_adu,
            "exposure_s": self.exposure_s,
            "galaxy_snr": self.galaxy_snr,
            "full_well_e": self.full_well_e,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        counted = (self.n_stars, self.n_galaxies, *self.artefact_counts.values())
        if min(*counted, self.read_noise_e, self.cosmic_ray_rate, self.charge_diffusion_px) < 0:
            raise ValueError("counts, rates and noise must not be negative")
        if self.moffat_beta is not None and self.moffat_beta <= 1:
            raise ValueError(f"a Moffat of finite flux needs beta > 1, got {self.moffat_beta}")

    @property
    def artefact_counts(self) -> dict[str, int]:
        """How many artefacts of each kind the frame has."""
        return {
            "hot_column": self.n_hot_columns,
            "trail": self.n_trails,
            "streak": self.n_streaks,
            "ghost": self.n_ghosts,
            "glow": self.n_glows,
            "bleed": self.n_bleeds,
            "block": self.n_blocks,
        }

    @property
    def noise_e(self) -> float:
        """Standard deviation of an empty pixel, in electrons."""
        return float(np.sqrt(self.background_e + self.read_noise_e**2))

    @classmethod
    def sample(cls, rng: np.random.Generator, size: int = 256) -> FieldConditions:
        """Draw conditions from wide ranges, from a space telescope's to a poor night's."""
        megapixels = size * size / 1e6
        crowding = np.exp(rng.uniform(np.log(150), np.log(6000)))
        return cls(
            size=size,
            fwhm_px=float(np.exp(rng.uniform(np.log(0.8), np.log(5.0)))),
            moffat_beta=float(rng.uniform(2.2, 5.0)) if rng.random() < 0.8 else None,
            background_e=float(np.exp(rng.uniform(np.log(5), np.log(3000)))),
            background_gradient=float(rng.uniform(0, 0.3)),
            read_noise_e=float(rng.uniform(2, 12)),
            gain_e_per_adu=float(rng.uniform(0.8, 4)),
            exposure_s=float(rng.choice([30, 60, 120, 300, 600])),
            n_stars=int(rng.poisson(crowding * megapixels)),
            n_galaxies=int(rng.poisson(100 * megapixels)),
            galaxy_snr=float(np.exp(rng.uniform(np.log(30), np.log(400)))),
            cosmic_ray_rate=float(np.exp(rng.uniform(np.log(100), np.log(2500)))),
            charge_diffusion_px=float(rng.uniform(0.15, 0.6)),
            n_hot_columns=int(rng.random() < 0.2),
            n_trails=int(rng.random() < 0.15),
        )
