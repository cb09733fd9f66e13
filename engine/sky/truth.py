"""What is really in a simulated image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.frame import Mask, Pixels

STAR = "star"
GALAXY_KINDS = ("elliptical", "spiral", "barred")
ANOMALY_KINDS = ("ring", "arc", "merger")
ARTEFACT_KINDS = ("hot_column", "trail", "streak", "ghost", "glow", "bleed", "block")


@dataclass(frozen=True)
class SkyObject:
    """One thing that was put into the image.

    `x`, `y` are 0-based pixel coordinates of the centre (x along columns; integers fall on pixel
    centres). `size_px` is the half-light radius of galaxies, the FWHM of stars, the width of
    artefacts. `flux_e` is the expected total in electrons before the frame's edge cuts it.
    `parameters` holds what its shape was drawn from.
    """

    kind: str
    x: float
    y: float
    size_px: float
    flux_e: float
    is_anomaly: bool = False
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Truth:
    """Exact truth of one frame.

    `cosmic_rays` and `artefacts` are bool (H, W). A pixel is in `cosmic_rays` where hits left more
    than `cosmic_ray_floor_e` electrons; `cosmic_ray_charge_e` is what they left, float32 (H, W) in
    electrons, None where nothing could.
    """

    cosmic_rays: Mask = field(repr=False)
    artefacts: Mask = field(repr=False)
    objects: tuple[SkyObject, ...]
    cosmic_ray_floor_e: float = 0.0
    cosmic_ray_charge_e: Pixels | None = field(default=None, repr=False)
