"""The cosmic-ray pipeline: one frame in, probability, uncertainty, mask and cleaned frame out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engine.cards import WEIGHTS, ModelCard
from engine.cosmicrays.assembly import assembled
from engine.cosmicrays.conformal import MissCalibration
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.policy import MODEL_NAMES, CosmicRayPolicy
from engine.cosmicrays.precision import check_precision
from engine.cosmicrays.scaling import NoiseScale, read_noise_floor
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.views import viewed_nets
from engine.cosmicrays.weights import load_members, sampled_nets
from engine.errors import CalibrationError, NotApplicable
from engine.frame import Frame, Mask, Pixels
from engine.results import CosmicRayResult

SMALLEST_SIDE_PX = 16
MOST_INT = 2**63 - 1


class CosmicRayPipeline:
    """Find and remove cosmic rays with the shipped networks.

    Applies to single-plane detector frames of at least 16 x 16 pixels with noise. It raises
    NotApplicable, and never guesses, on 8-bit samples, several planes, a side below 16 pixels and
    frames without noise. Bad pixels of the frame are filled before the networks see them and are
    never flagged: probability and entropies are 0 there, and the cleaned frame keeps its values.
    Temperature, architecture and, for a policy with a miss rate, the threshold come from the model
    card. Raises ModelError where the card lacks what the policy asks for.
    """

    name = "cosmicrays"

    def __init__(self, policy: CosmicRayPolicy | None = None, folder: Path = WEIGHTS) -> None:
        self.policy = policy or CosmicRayPolicy()
        check_precision(self.policy.precision)
        self._nets, self.card = load_members(MODEL_NAMES[self.policy.method], folder)
        self._temperature = temperature_of(self.card, self.policy.label)
        self.threshold = _threshold_of(self.card, self.policy)
        self.model_digest = self.card.digest

    def run(self, frame: Frame, rng: np.random.Generator) -> CosmicRayResult:
        """Analyse one frame; the weight samples hang on `rng` alone.

        Raises NotApplicable as the class describes.
        """
        pixels = detector_plane(frame)
        scale = NoiseScale.of(pixels, frame.mask, read_noise_floor(frame.unit, frame.origin))
        return self.detect(self.passes(rng), pixels, frame.mask, scale)

    def passes(self, rng: np.random.Generator) -> tuple[UNet2Sigmoid, ...]:
        """The networks of every pass, weights frozen: use them for the whole of a frame."""
        generator = torch.Generator().manual_seed(int(rng.integers(MOST_INT)))
        return tuple(
            viewed
            for net in self._nets
            for drawn in sampled_nets(net, self.policy.samples, generator)
            for viewed in viewed_nets(drawn, self.policy.views)
        )

    def detect(
        self, nets: Sequence[UNet2Sigmoid], pixels: Pixels, bad: Mask, scale: NoiseScale
    ) -> CosmicRayResult:
        """Analyse pixels, float32 (H, W), with frozen networks and the scale of their frame.

        The pixels may be a part of the frame that starts at an even row and column.
        """
        filled = inpaint(pixels, bad) if bad.any() and not bad.all() else pixels
        scaled = scale.apply(np.nan_to_num(filled) if bad.all() else filled)
        maps = evidence_maps(
            nets, scaled, temperature=self._temperature, precision=self.policy.precision
        )
        return assembled(
            pixels,
            bad,
            maps,
            threshold=self.threshold,
            samples=len(nets),
            method=self.policy.label,
            fill=self.policy.fill,
        )


def temperature_of(card: ModelCard, label: str) -> float:
    """The card's temperature for a method's label ("unet_8_views"), else its one temperature."""
    own = card.calibration.get("temperatures", {})
    return float(own.get(label, card.calibration.get("temperature", 1.0)))


def _threshold_of(card: ModelCard, policy: CosmicRayPolicy) -> float:
    if policy.miss_rate is None:
        return policy.threshold
    stored = card.calibration.get("miss_rate", {}).get(policy.label)
    if stored is None:
        raise CalibrationError(
            f"the card of {card.name} holds no calibration of missed pixels for {policy.label}: "
            "give a threshold, or publish the model with `skysieve train cosmicrays`"
        )
    return MissCalibration.from_dict(stored).threshold(policy.miss_rate)


def detector_plane(frame: Frame) -> Pixels:
    """The pixels of a frame that cosmic rays make sense on, float32 (H, W).

    Raises NotApplicable on 8-bit samples, several planes and sides below 16 pixels.
    """
    check_detector_plane(frame.sample_bits, frame.planes, frame.height, frame.width)
    return frame.pixels.reshape(frame.height, frame.width)


def check_detector_plane(sample_bits: int, planes: int, height: int, width: int) -> None:
    """Raise NotApplicable where cosmic rays make no sense, as `detector_plane` says."""
    if sample_bits <= 8:
        raise NotApplicable(
            "cosmic rays need a detector's counts, and 8-bit samples are a picture: "
            "give the original FITS exposure"
        )
    if planes > 1:
        raise NotApplicable(
            f"cosmic rays are found in one exposure, and this frame has {planes} planes: "
            "give its planes one by one"
        )
    if min(height, width) < SMALLEST_SIDE_PX:
        raise NotApplicable(
            f"a frame of {height} x {width} pixels is too small to judge cosmic rays: "
            f"give at least {SMALLEST_SIDE_PX} x {SMALLEST_SIDE_PX}"
        )
