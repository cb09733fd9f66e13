"""The cosmic-ray pipeline: one frame in, probability, uncertainty, mask and cleaned frame out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.cards import WEIGHTS
from engine.cosmicrays.assembly import assembled
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.policy import MODEL_NAMES, CosmicRayPolicy
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.weights import load_net, sampled_nets
from engine.errors import NotApplicable
from engine.frame import Frame, Pixels
from engine.results import CosmicRayResult

SMALLEST_SIDE_PX = 16
MOST_INT = 2**63 - 1


class CosmicRayPipeline:
    """Find and remove cosmic rays with the shipped networks.

    Applies to single-plane detector frames of at least 16 x 16 pixels with noise. It raises
    NotApplicable, and never guesses, on 8-bit samples, several planes, a side below 16 pixels and
    frames without noise. Bad pixels of the frame are filled before the networks see them and are
    never flagged: probability and entropies are 0 there, and the cleaned frame keeps its values.
    Temperature and architecture come from the model card.
    """

    name = "cosmicrays"

    def __init__(self, policy: CosmicRayPolicy | None = None, folder: Path = WEIGHTS) -> None:
        self.policy = policy or CosmicRayPolicy()
        self._net, self.card = load_net(MODEL_NAMES[self.policy.method], folder)
        self._temperature = float(self.card.calibration.get("temperature", 1.0))
        self.model_digest = self.card.digest

    def run(self, frame: Frame, rng: np.random.Generator) -> CosmicRayResult:
        """Analyse one frame; the weight samples hang on `rng` alone.

        Raises NotApplicable as the class describes.
        """
        pixels = detector_plane(frame)
        scale = NoiseScale.of(pixels, frame.mask)
        generator = torch.Generator().manual_seed(int(rng.integers(MOST_INT)))
        nets = sampled_nets(self._net, self.policy.samples, generator)
        filled = inpaint(pixels, frame.mask) if frame.mask.any() else pixels
        maps = evidence_maps(nets, scale.apply(filled), temperature=self._temperature)
        return assembled(
            pixels,
            frame.mask,
            maps,
            threshold=self.policy.threshold,
            samples=len(nets),
            method=self.policy.method,
        )


def detector_plane(frame: Frame) -> Pixels:
    """The pixels of a frame that cosmic rays make sense on, float32 (H, W).

    Raises NotApplicable on 8-bit samples, several planes and sides below 16 pixels.
    """
    if frame.sample_bits <= 8:
        raise NotApplicable(
            "cosmic rays need a detector's counts, and 8-bit samples are a picture: "
            "give the original FITS exposure"
        )
    if frame.planes > 1:
        raise NotApplicable(
            f"cosmic rays are found in one exposure, and this frame has {frame.planes} planes: "
            "give its planes one by one"
        )
    if min(frame.height, frame.width) < SMALLEST_SIDE_PX:
        raise NotApplicable(
            f"a frame of {frame.height} x {frame.width} pixels is too small to judge cosmic rays: "
            f"give at least {SMALLEST_SIDE_PX} x {SMALLEST_SIDE_PX}"
        )
    return frame.pixels.reshape(frame.height, frame.width)
