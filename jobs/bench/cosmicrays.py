"""`skysieve bench cosmicrays`: every detector on the same held-out frames, by the same code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.cards import WEIGHTS, file_digest
from engine.cosmicrays.deepcr import ACS_WFC, installed_deepcr, load_deepcr
from engine.cosmicrays.evaluation import (
    Detector,
    calibration_figures,
    judge,
    recall_figures,
)
from engine.cosmicrays.holdouts import (
    STIS_PAIR,
    LabelledFrame,
    simulated_holdout,
    stis_pair,
)
from engine.cosmicrays.lacosmic import lacosmic_mask
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.publishing import net_detector
from engine.cosmicrays.restoration import fill_errors
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.weights import load_net
from engine.errors import ModelError
from engine.frame import Pixels
from jobs.bench.result import write_result

SAMPLES = 16
VIEWS = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))
SIGMA_CLIPS = (3.5, 4.5, 6.0, 10.0, 20.0, 40.0)
NOTES = (
    "stis_pair: HST/STIS CR-split pair, left half, masks and ignore flags as they are; one field "
    "of one detector, never trained on. holdout-cr: simulated by the simulator that the shipped "
    "networks were trained with (other seeds, LSST hits of the test split), so home ground for "
    "them. TPR: mean over frames, spread is their standard deviation; calibration over pooled "
    "pixels, ECE with 15 bins and L1 norm. vi and unet include their card's temperature. deepCR "
    "ACS-WFC and L.A.Cosmic are outside the domain they were made for. One training seed."
)


@dataclass(frozen=True)
class Contender:
    """One detector under comparison, and the digest of its weights where it has any."""

    name: str
    detect: Detector
    digest: str = ""


def bench_cosmicrays(
    out: Path,
    data: Path | None,
    seed: int,
    now: datetime,
    *,
    folder: Path = WEIGHTS,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Compare the shipped networks with deepCR and L.A.Cosmic, and write the figures to `out`.

    `data` is the folder of real images; without it only the simulated hold-out is measured. deepCR
    is left out, and named so, where it is not installed.
    """
    torch.set_num_threads(1)
    real = data / "cosmicrays" if data is not None else None
    contenders, missing = _contenders(folder, samples, seed)
    held_out = _held_out(real)
    figures: dict[str, Any] = {"not_measured": missing, "inpainting": {}}
    for dataset, frames in held_out.items():
        figures[dataset] = {one.name: _measured(one, frames) for one in contenders}
        figures[dataset]["lacosmic"] = _lacosmic_figures(frames)
        figures["inpainting"][dataset] = fill_errors(frames)
    write_result(
        out,
        bench="cosmicrays",
        command=f"skysieve bench cosmicrays --seed {seed}",
        seed=seed,
        now=now,
        digests=_digests(contenders, real),
        figures=figures,
        notes=NOTES,
    )
    return figures


def _contenders(folder: Path, samples: int, seed: int) -> tuple[list[Contender], dict[str, str]]:
    """Every detector that gives probabilities, and why a missing one is missing."""
    plain, plain_card = load_net("cosmicrays-unet", folder)
    bayesian, bayesian_card = load_net("cosmicrays-vi", folder)
    temperature = float(plain_card.calibration["temperature"])
    vi = net_detector(
        bayesian,
        samples=samples,
        seed=seed,
        temperature=float(bayesian_card.calibration["temperature"]),
    )
    unet = net_detector(plain, samples=1, seed=seed, temperature=temperature)
    contenders = [
        Contender("unet", unet, plain_card.digest),
        Contender(f"vi_{samples}_samples", vi, bayesian_card.digest),
        Contender("unet_8_views", _eight_views(unet), plain_card.digest),
    ]
    try:
        weights = installed_deepcr(ACS_WFC)
    except ModelError as error:
        return contenders, {"deepcr_acs_wfc": str(error)}
    deepcr = Contender("deepcr_acs_wfc", _on_electrons(load_deepcr(weights)), file_digest(weights))
    return [*contenders, deepcr], {}


def _eight_views(detect: Detector) -> Detector:
    """The mean probability over the four turns and their mirror images."""

    def detect_all(frame: LabelledFrame) -> Pixels:
        views = []
        for turns, mirrored in VIEWS:
            view = replace(frame, pixels=_seen(frame.pixels, turns, mirrored))
            views.append(_seen_back(detect(view), turns, mirrored))
        mean: Pixels = np.mean(views, axis=0)
        return mean

    return detect_all


def _seen(pixels: Pixels, turns: int, mirrored: bool) -> Pixels:
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[::-1] if mirrored else turned)


def _seen_back(view: Pixels, turns: int, mirrored: bool) -> Pixels:
    return np.rot90(view[::-1] if mirrored else view, -turns)


def _on_electrons(net: UNet2Sigmoid) -> Detector:
    return lambda frame: evidence_maps((net,), frame.pixels).probability


def _held_out(real: Path | None) -> dict[str, Sequence[LabelledFrame]]:
    held_out: dict[str, Sequence[LabelledFrame]] = {"holdout-cr": list(simulated_holdout(real))}
    if real is not None:
        held_out["stis_pair"] = list(stis_pair(real))
    return held_out


def _measured(one: Contender, frames: Sequence[LabelledFrame]) -> dict[str, Any]:
    started = time.process_time()
    judged = judge(one.detect, frames)
    cpu_s = time.process_time() - started
    megapixels = sum(frame.pixels.size for frame in frames) / 1e6
    speed = {"cpu_s_per_megapixel": cpu_s / megapixels}
    return {**recall_figures(judged), **calibration_figures(judged), **speed}


def _lacosmic_figures(frames: Sequence[LabelledFrame]) -> dict[str, Any]:
    """True- and false-positive rates at each Laplacian limit; there is no probability to judge."""
    return {f"sigma_clip_{limit:g}": _lacosmic_rates(frames, limit) for limit in SIGMA_CLIPS}


def _lacosmic_rates(frames: Sequence[LabelledFrame], sigma_clip: float) -> dict[str, float]:
    found, false = [], []
    for frame in frames:
        nothing_bad = np.zeros(frame.truth.shape, dtype=bool)
        mask = lacosmic_mask(frame.pixels, nothing_bad, frame.read_noise_e, sigma_clip=sigma_clip)
        found.append(mask[frame.truth & ~frame.ignore].mean())
        false.append(mask[~frame.truth & ~frame.ignore].mean())
    return {"tpr": float(np.mean(found)), "fpr": float(np.mean(false))}


def _digests(contenders: Sequence[Contender], real: Path | None) -> dict[str, str]:
    digests = {one.name: one.digest for one in contenders}
    if real is not None:
        digests[STIS_PAIR] = file_digest(real / STIS_PAIR)
    return digests
