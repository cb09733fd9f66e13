"""Other people's detectors as one call each, for `clean` and for comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.cosmicrays.assembly import assembled, assembled_without_probability
from engine.cosmicrays.deepcr import load_deepcr
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.lacosmic import lacosmic_mask, read_noise_of
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.pipeline import detector_plane
from engine.cosmicrays.scaling import NoiseScale
from engine.errors import NotApplicable
from engine.frame import Frame, Pixels
from engine.results import CosmicRayResult


def run_deepcr(frame: Frame, weights: Path, *, threshold: float = 0.5) -> CosmicRayResult:
    """Run a mask model of deepCR that was trained on electrons, such as ACS-WFC.

    One network is one sample: its mutual information is zero. Raises NotApplicable as the pipeline
    does or where counts cannot be turned into electrons, ModelError on bad weights.
    """
    pixels, gain = detector_plane(frame), gain_of(frame)
    electrons = inpaint(pixels, frame.mask) * np.float32(gain)
    maps = evidence_maps((load_deepcr(weights),), electrons)
    return assembled(pixels, frame.mask, maps, threshold=threshold, samples=1, method="deepcr")


def run_lacosmic(frame: Frame) -> CosmicRayResult:
    """Run L.A.Cosmic, which gives a mask and no probability: the result's maps are NaN.

    Raises NotApplicable as the pipeline does, or where counts cannot be turned into electrons.
    """
    pixels = detector_plane(frame)
    electrons: Pixels = pixels * np.float32(gain_of(frame))
    read_noise_e = read_noise_of(frame, NoiseScale.of(electrons, frame.mask))
    mask = lacosmic_mask(electrons, frame.mask, read_noise_e)
    return assembled_without_probability(pixels, frame.mask, mask, method="lacosmic")


def gain_of(frame: Frame) -> float:
    """Electrons per unit of the frame: 1 for electrons, the stated gain for anything else.

    Raises NotApplicable when the unit is not electrons and no gain is stated.
    """
    if frame.unit.lower().startswith("electron"):
        return 1.0
    if frame.origin.gain_e_per_adu is None:
        raise NotApplicable(
            f"this method needs electrons, and the frame is in {frame.unit or 'an unknown unit'} "
            "with no gain stated: add BUNIT or GAIN to the header, or use --method vi"
        )
    return frame.origin.gain_e_per_adu
