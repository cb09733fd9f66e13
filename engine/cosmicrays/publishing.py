"""A trained network measured on its hold-outs and written with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.cards import ModelCard, write_card
from engine.cosmicrays.conformal import MissCalibration, hits_of
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
    injected_holdouts,
    simulated_holdout,
    stis_pair,
)
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.recipes import Recipe
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.tempering import TemperatureChoice, choose_temperature
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.cosmicrays.views import viewed_nets
from engine.cosmicrays.weights import sampled_nets, save_members, save_net
from engine.frame import Pixels
from engine.metrics.calibration import tempered

MEASURED_SAMPLES = 16
ALL_VIEWS = 8
MISS_POINTS = 2
REPORTED = 2
HELD_OUT = (
    "Held out, named before training: the simulated nights holdout-cr and crowded-cr, WFPC2 omega "
    "Cen chip 3, ACS/HRC 47 Tuc rows 720-1023, the test splits of the LSST and of the STIS hits "
    "(by hash). For temperature and choices only: the simulated night validate-cr, 47 Tuc rows "
    "528-703, omega Cen chip 2, the calibration split of the LSST hits."
)
NO_STIS = "Nothing of the STIS pair: neither its pixels nor the hits cut from that field."
ALL_STIS = (
    "Fitted to the STIS CCD with both frames of the STIS pair and the hits cut from it, less the "
    "hits of the test split; its figures for stis_pair, and its temperature, are those of two "
    "networks of the same recipe that saw one half of the rows and are scored on the other."
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
    net: UNet2Sigmoid, *, samples: int, seed: int, temperature: float = 1.0, views: int = 1
) -> Detector:
    """The network as a detector of labelled frames; weight samples are drawn once from `seed`."""
    drawn = sampled_nets(net, samples, torch.Generator().manual_seed(seed))
    return nets_detector(drawn, temperature=temperature, views=views)


def nets_detector(
    nets: Sequence[UNet2Sigmoid], *, temperature: float = 1.0, views: int = 1
) -> Detector:
    """The mean of several networks, each over `views` views, as a detector of labelled frames."""
    passes = [viewed for net in nets for viewed in viewed_nets(net, views)]

    def detect(frame: LabelledFrame) -> Pixels:
        scaled = NoiseScale.of(frame.pixels).apply(frame.pixels)
        return evidence_maps(passes, scaled, temperature=temperature).probability

    return detect


@dataclass(frozen=True)
class Folds:
    """What networks of the same recipe say on rows that they did not see, before a temperature.

    `judged` holds the whole pair for figures, `parts` its two halves for the temperature.
    """

    judged: Judged
    parts: tuple[Judged, Judged]


def publish(
    nets: UNet2Sigmoid | Sequence[UNet2Sigmoid],
    training: Training,
    folder: Path,
    data: Path | None,
    *,
    folds: Folds | None = None,
) -> ModelCard:
    """Measure a network, or an ensemble, on every hold-out, and write weights and card to `folder`.

    `data` holds the real frames; without it the card says that only the simulated night was
    measured and the temperature is the identity. `folds` stands for the STIS pair where the
    network was trained on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    members = (nets,) if isinstance(nets, UNet2Sigmoid) else tuple(nets)
    sets = list(calibration_frames(data)) if data is not None else []
    choices, misses = {}, {}
    for label, views in _labels(members):
        raw = _detector(members, training.seed, views=views)
        maps = [raw(frame) for frame in sets]
        parts = [_kept(frame, p) for frame, p in zip(sets, maps, strict=True)]
        choices[label] = _real_temperature(folds.parts if folds else parts)
        if sets:
            misses[label] = _miss_calibration(sets, maps, choices[label].temperature)
    label, choice = next(iter(choices.items()))
    judged = _judged(members, training.seed, choice.temperature, data, folds)
    path = folder / f"{training.name}.safetensors"
    many = len(members) > 1
    card = ModelCard(
        name=training.name,
        pipeline="cosmicrays",
        digest=save_members(members, path) if many else save_net(members[0], path),
        description=_description(members),
        architecture=_architecture(members),
        data=f"{training.data} {ALL_STIS if folds else NO_STIS} {HELD_OUT}",
        seed=training.seed,
        command=training.command,
        device=training.device,
        trained_at=training.trained_at.isoformat(timespec="seconds"),
        metrics={"steps": training.steps, "samples": _samples(members), **_figures(judged)},
        calibration={
            **_calibration(choice, judged, data),
            "temperatures": {name: one.temperature for name, one in choices.items()},
            "miss_rate": misses,
        },
        limits=LIMITS,
    )
    write_card(folder, card)
    return card


def keep_for_study(
    net: UNet2Sigmoid, stage: Recipe, folder: Path, command: str, trained_at: datetime
) -> ModelCard:
    """Write a network that only the bench compares, with a card that says how it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    card = ModelCard(
        name=stage.name,
        pipeline="cosmicrays",
        digest=save_net(net, folder / f"{stage.name}.safetensors"),
        description="For comparison in the benchmark alone.",
        architecture={**_architecture([net]), "recipe": asdict(stage)},
        data=f"As the shipped networks. {HELD_OUT}",
        seed=stage.seed,
        command=command,
        device="CPU, one thread",
        trained_at=trained_at.isoformat(timespec="seconds"),
        limits=LIMITS,
    )
    write_card(folder, card)
    return card


def _labels(members: Sequence[UNet2Sigmoid]) -> list[tuple[str, int]]:
    """The policy's labels that a card is calibrated for, with their number of views."""
    if len(members) > 1:
        return [("ensemble", 1)]
    if isinstance(members[0], UNet2SigmoidVI):
        return [("vi", 1)]
    return [("unet", 1), (f"unet_{ALL_VIEWS}_views", ALL_VIEWS)]


def _detector(
    members: Sequence[UNet2Sigmoid], seed: int, *, temperature: float = 1.0, views: int = 1
) -> Detector:
    generator = torch.Generator().manual_seed(seed)
    drawn = [one for net in members for one in sampled_nets(net, MEASURED_SAMPLES, generator)]
    return nets_detector(drawn, temperature=temperature, views=views)


def _kept(frame: LabelledFrame, probability: Pixels) -> Judged:
    return judge(lambda _: probability, [frame])


def _judged(
    members: Sequence[UNet2Sigmoid],
    seed: int,
    temperature: float,
    data: Path | None,
    folds: Folds | None,
) -> list[Judged]:
    detector = _detector(members, seed, temperature=temperature)
    judged = [judge(detector, list(simulated_holdout(data)))]
    if data is None:
        return judged
    if folds is None:
        judged.append(judge(detector, list(stis_pair(data))))
    else:
        judged.append(folds.judged.tempered(temperature))
    return judged + [judge(detector, [frame]) for frame in injected_holdouts(data)]


def _miss_calibration(
    frames: Sequence[LabelledFrame], maps: Sequence[Pixels], temperature: float
) -> dict[str, Any]:
    """Thinned to every second point, which never makes a threshold laxer."""
    hits = [
        tempered(one, temperature)
        for frame, p in zip(frames, maps, strict=True)
        for one in hits_of(p, frame.truth)
    ]
    whole = MissCalibration.of(hits, [frame.dataset for frame in frames])
    thinned = replace(
        whole, probability=whole.probability[::MISS_POINTS], missed=whole.missed[::MISS_POINTS]
    )
    return thinned.as_dict()


def _real_temperature(sets: Sequence[Judged]) -> TemperatureChoice:
    return choose_temperature(sets) if sets else TemperatureChoice(1.0, {}, {})


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
        "reports": [one.report().as_dict() for one in judged[:REPORTED]],
    }


def _samples(members: Sequence[UNet2Sigmoid]) -> int:
    return MEASURED_SAMPLES if isinstance(members[0], UNet2SigmoidVI) else len(members)


def _description(members: Sequence[UNet2Sigmoid]) -> str:
    if len(members) > 1:
        return f"Cosmic rays in single exposures: the mean of {len(members)} two-level U-Nets."
    if isinstance(members[0], UNet2SigmoidVI):
        return (
            "Cosmic rays in single exposures, with a Gaussian posterior over every convolution's "
            "weights: its samples' disagreement is the mutual information."
        )
    return "Cosmic rays in single exposures: a two-level U-Net, batch normalisation folded."


def _architecture(members: Sequence[UNet2Sigmoid]) -> dict[str, Any]:
    first = members[0]
    return {
        "kind": "unet2",
        "hidden": first.hidden,
        "bayesian": isinstance(first, UNet2SigmoidVI),
        **({"members": len(members)} if len(members) > 1 else {}),
        "parameters": sum(int(np.prod(v.shape)) for net in members for v in net.parameters()),
        "input": "arcsinh((pixels - median) / (median - 15.87th percentile)), per frame",
        "precision": "trained with bfloat16 autocast, stored and run in float32",
    }
