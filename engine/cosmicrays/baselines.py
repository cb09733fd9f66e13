"""Other people's detectors as one call each, for `clean` and for comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.cosmicrays.assembly import assembled, assembled_without_probability
from engine.cosmicrays.choices import FillName
from engine.cosmicrays.deepcr import load_deepcr
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.lacosmic import lacosmic_mask, read_noise_of
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.pipeline import detector_plane
from engine.cosmicrays.scaling import NoiseScale, electrons_per_unit
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.errors import NotApplicable
from engine.frame import Frame, Mask, Origin, Pixels
from engine.results import CosmicRayResult

Detect = Callable[[Pixels, Mask], CosmicRayResult]


def run_deepcr(
    frame: Frame, weights: Path, *, threshold: float = 0.5, fill: FillName = "median"
) -> CosmicRayResult:
    """Run a mask model of deepCR that was trained on electrons, such as ACS-WFC.

    One network is one sample: its mutual information is zero. Raises NotApplicable as the pipeline
    does or where counts cannot be turned into electrons, ModelError on bad weights.
    """
    pixels, gain = detector_plane(frame), gain_of(frame.unit, frame.origin)
    return deepcr_on(load_deepcr(weights), gain, threshold, fill)(pixels, frame.mask)


def deepcr_on(net: UNet2Sigmoid, gain: float, threshold: float, fill: FillName) -> Detect:
    """A loaded mask model as one call on pixels of which one unit is `gain` electrons."""

    def detect(pixels: Pixels, bad: Mask) -> CosmicRayResult:
        usable = bad.any() and not bad.all()
        filled = inpaint(pixels, bad) if usable else np.nan_to_num(pixels)
        maps = evidence_maps((net,), filled * np.float32(gain))
        return assembled(
            pixels, bad, maps, threshold=threshold, samples=1, method="deepcr", fill=fill
        )

    return detect


def run_lacosmic(frame: Frame, *, fill: FillName = "median") -> CosmicRayResult:
    """Run L.A.Cosmic, which gives a mask and no probability: the result's maps are NaN.

    Raises NotApplicable as the pipeline does, or where counts cannot be turned into electrons.
    """
    pixels, gain = detector_plane(frame), gain_of(frame.unit, frame.origin)
    scale = NoiseScale.of(pixels * np.float32(gain), frame.mask)
    return lacosmic_on(gain, read_noise_of(frame.origin, scale), fill)(pixels, frame.mask)


def lacosmic_on(gain: float, read_noise_e: float, fill: FillName) -> Detect:
    """L.A.Cosmic as one call on pixels of which one unit is `gain` electrons."""

    def detect(pixels: Pixels, bad: Mask) -> CosmicRayResult:
        mask = lacosmic_mask(pixels * np.float32(gain), bad, read_noise_e)
        return assembled_without_probability(pixels, bad, mask, method="lacosmic", fill=fill)

    return detect


def gain_of(unit: str, origin: Origin) -> float:
    """Electrons per unit of the pixels: 1 for electrons, the stated gain for anything else.

    Raises NotApplicable when the unit is not electrons and no gain is stated.
    """
    gain = electrons_per_unit(unit, origin)
    if gain is None:
        raise NotApplicable(
            f"this method needs electrons, and the frame is in {unit or 'an unknown unit'} "
            "with no gain stated: add BUNIT or GAIN to the header, or use --method vi"
        )
    return gain
