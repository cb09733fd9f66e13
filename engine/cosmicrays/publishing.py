"""A trained network measured on its hold-outs and written with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.cards import ModelCard, write_card
from engine.cosmicrays.evaluation import (
    Detector,
    Judged,
    calibration_figures,
    judge,
    recall_figures,
)
from engine.cosmicrays.holdouts import (
    LabelledFrame,
    calibration_frames,
    simulated_holdout,
    stis_pair,
)
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.tempering import TemperatureChoice, choose_temperature
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.cosmicrays.weights import sampled_nets, save_net
from engine.frame import Pixels

MEASURED_SAMPLES = 16
HELD_OUT = (
    "Held out, named before training: the simulated night holdout-cr, the test split of the LSST "
    "hits (split by hash of each hit's name), and the HST/STIS pair. For temperature only: 47 Tuc "
    "rows 512-1023, omega Cen chip 3, the calibration split of the LSST hits."
)
LIMITS = (
    "Wants one raw or calibrated exposure with its sky; not co-added, resampled, 8-bit or colour "
    "images, nor spectra. Stars sharper than about 1.5 pixels FWHM look like hits. Single-pixel "
    "hits and the faint rim of hits (3-6 sigma) are found only in part. stis_pair is one field of "
    "one detector, scored with its masks and ignore flags as they are: labels hold hits above 6 "
    "sigma grown to 3 sigma."
)


@dataclass(frozen=True)
class Training:
    """How a network came to be, for its card."""

    name: str
    data: str
    seed: int
    steps: int
    command: str
    device: str
    trained_at: datetime


def net_detector(
    net: UNet2Sigmoid, *, samples: int, seed: int, temperature: float = 1.0
) -> Detector:
    """The network as a detector of labelled frames; weight samples are drawn once from `seed`."""
    nets = sampled_nets(net, samples, torch.Generator().manual_seed(seed))

    def detect(frame: LabelledFrame) -> Pixels:
        scaled = NoiseScale.of(frame.pixels).apply(frame.pixels)
        return evidence_maps(nets, scaled, temperature=temperature).probability

    return detect


def publish(net: UNet2Sigmoid, training: Training, folder: Path, data: Path | None) -> ModelCard:
    """Measure a network on every hold-out there is, and write weights and card to `folder`.

    `data` holds the real frames; without it the card says that only the simulated night was
    measured and the temperature is the identity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw = net_detector(net, samples=MEASURED_SAMPLES, seed=training.seed)
    choice = _real_temperature(raw, data)
    detector = net_detector(
        net, samples=MEASURED_SAMPLES, seed=training.seed, temperature=choice.temperature
    )
    held_out: list[Sequence[LabelledFrame]] = [list(simulated_holdout(data))]
    if data is not None:
        held_out.append(list(stis_pair(data)))
    judged = [judge(detector, frames) for frames in held_out]
    card = ModelCard(
        name=training.name,
        pipeline="cosmicrays",
        digest=save_net(net, folder / f"{training.name}.safetensors"),
        description=_description(net),
        architecture=_architecture(net),
        data=f"{training.data} {HELD_OUT}",
        seed=training.seed,
        command=training.command,
        device=training.device,
        trained_at=training.trained_at.isoformat(timespec="seconds"),
        metrics={"steps": training.steps, "samples": _samples(net), **_figures(judged)},
        calibration=_calibration(choice, judged, data),
        limits=LIMITS,
    )
    write_card(folder, card)
    return card


def _real_temperature(raw: Detector, data: Path | None) -> TemperatureChoice:
    if data is None:
        return TemperatureChoice(1.0, {}, {})
    return choose_temperature([judge(raw, [frame]) for frame in calibration_frames(data)])


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    return {one.dataset: {**recall_figures(one), **calibration_figures(one)} for one in judged}


def _calibration(
    choice: TemperatureChoice, judged: Sequence[Judged], data: Path | None
) -> dict[str, Any]:
    return {
        "temperature": choice.temperature,
        "temperature_reason": choice.reason if data is not None else "identity: no real frames",
        "temperature_fitted": choice.fitted,
        "temperature_nll_change": choice.gains,
        "simulated_temperature": judged[0].report().temperature,
        "reports": [one.report().as_dict() for one in judged],
    }


def _samples(net: UNet2Sigmoid) -> int:
    return MEASURED_SAMPLES if isinstance(net, UNet2SigmoidVI) else 1


def _description(net: UNet2Sigmoid) -> str:
    if isinstance(net, UNet2SigmoidVI):
        return (
            "Cosmic rays in single exposures, with a Gaussian posterior over every convolution's "
            "weights: its samples' disagreement is the mutual information."
        )
    return "Cosmic rays in single exposures: a two-level U-Net, batch normalisation folded."


def _architecture(net: UNet2Sigmoid) -> dict[str, Any]:
    return {
        "kind": "unet2",
        "hidden": net.hidden,
        "bayesian": isinstance(net, UNet2SigmoidVI),
        "parameters": sum(int(np.prod(value.shape)) for value in net.parameters()),
        "input": "arcsinh((pixels - median) / (median - 15.87th percentile)), per frame",
        "precision": "trained with bfloat16 autocast, stored and run in float32",
    }
