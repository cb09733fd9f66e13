"""L.A.Cosmic, the classical detector, for comparison and for frames that networks do not suit."""

from __future__ import annotations

import astroscrappy
import numpy as np

from engine.cosmicrays.scaling import NoiseScale
from engine.frame import Mask, Origin, Pixels

SIGMA_CLIP = 4.5
OBJECT_LIMIT = 5.0
SIGMA_FRACTION = 0.3


def lacosmic_mask(
    pixels_e: Pixels,
    bad: Mask,
    read_noise_e: float,
    *,
    sigma_clip: float = SIGMA_CLIP,
    object_limit: float = OBJECT_LIMIT,
) -> Mask:
    """Cosmic-ray pixels by Laplacian edge detection (van Dokkum 2001, as in astroscrappy).

    `pixels_e` float32 (H, W) in electrons, sky included; `bad` bool (H, W); `sigma_clip` the
    Laplacian-to-noise limit; `object_limit` the contrast against fine structure. Returns bool
    (H, W), never True on bad pixels.
    """
    found, _ = astroscrappy.detect_cosmics(
        np.ascontiguousarray(np.where(bad, np.float32(0), pixels_e)),
        inmask=bad,
        gain=1.0,
        readnoise=read_noise_e,
        sigclip=sigma_clip,
        sigfrac=SIGMA_FRACTION,
        objlim=object_limit,
        satlevel=np.inf,
    )
    mask: Mask = np.asarray(found, dtype=bool) & ~bad
    return mask


def read_noise_of(origin: Origin, scale: NoiseScale) -> float:
    """The stated read noise in electrons, else what photon noise of its sky leaves over.

    `scale` is the frame's level and noise in electrons.
    """
    if origin.read_noise_e is not None:
        return origin.read_noise_e
    unexplained = scale.sigma**2 - max(scale.median, 0.0)
    return float(np.sqrt(max(unexplained, 1.0)))
