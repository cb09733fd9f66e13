"""The detectors that `skysieve bench cosmicrays` compares, as they are shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.cards import ModelCard, file_digest
from engine.cosmicrays.deepcr import ACS_WFC, installed_deepcr, load_deepcr
from engine.cosmicrays.dropout import UNet2SigmoidDropout
from engine.cosmicrays.evaluation import Detector
from engine.cosmicrays.holdouts import LabelledFrame
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.pipeline import temperature_of
from engine.cosmicrays.publishing import nets_detector
from engine.cosmicrays.recipes import SEEDS
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.views import viewed_nets
from engine.cosmicrays.weights import load_members, load_net, sampled_nets
from engine.errors import ModelError
from engine.frame import Pixels

ALL_VIEWS = 8
FOLDS = ("low", "high")


@dataclass(frozen=True)
class Contender:
    """One detector under comparison, and the digest of its weights where it has any."""

    name: str
    detect: Detector
    digest: str = ""


def shipped_contenders(folder: Path, samples: int, seed: int) -> list[Contender]:
    """The shipped networks with the temperature of their card."""
    plain, card = load_net("cosmicrays-unet", folder)
    bayesian, bayesian_card = load_net("cosmicrays-vi", folder)
    draws = sampled_nets(bayesian, samples, torch.Generator().manual_seed(seed))
    contenders = [
        _viewed("unet", plain, card, 1),
        Contender(
            f"vi_{samples}_samples",
            nets_detector(draws, temperature=temperature_of(bayesian_card, "vi")),
            bayesian_card.digest,
        ),
        _viewed(f"unet_{ALL_VIEWS}_views", plain, card, ALL_VIEWS),
    ]
    if (folder / "cosmicrays-ensemble.json").is_file():
        members, ensemble_card = load_members("cosmicrays-ensemble", folder)
        detect = nets_detector(members, temperature=temperature_of(ensemble_card, "ensemble"))
        contenders.append(Contender("ensemble", detect, ensemble_card.digest))
    return contenders


def stis_contenders(folder: Path) -> list[Contender]:
    """The network that is fitted to the STIS CCD; only for frames of other instruments."""
    if not (folder / "cosmicrays-stis.json").is_file():
        return []
    net, card = load_net("cosmicrays-stis", folder)
    return [_viewed("stis", net, card, 1), _viewed("stis_8_views", net, card, ALL_VIEWS)]


def never_seen_contenders(folder: Path) -> list[Contender]:
    """What is too slow to run everywhere, for the instrument that no network of it has seen."""
    if not (folder / "cosmicrays-ensemble.json").is_file():
        return []
    members, card = load_members("cosmicrays-ensemble", folder)
    detect = nets_detector(members, temperature=temperature_of(card, "ensemble"), views=ALL_VIEWS)
    return [Contender(f"ensemble_{ALL_VIEWS}_views", detect, card.digest)]


def _viewed(name: str, net: UNet2Sigmoid, card: ModelCard, views: int) -> Contender:
    label = "unet" if views == 1 else f"unet_{views}_views"
    detect = nets_detector([net], temperature=temperature_of(card, label), views=views)
    return Contender(name, detect, card.digest)


def deepcr_contender() -> Contender:
    """deepCR's ACS-WFC model. Raises ModelError where the package is missing."""
    weights = installed_deepcr(ACS_WFC)
    return Contender("deepcr_acs_wfc", on_electrons(load_deepcr(weights)), file_digest(weights))


def on_electrons(net: UNet2Sigmoid) -> Detector:
    """A network that wants electrons, as deepCR's do."""

    def detect(frame: LabelledFrame) -> Pixels:
        return evidence_maps((net,), frame.pixels).probability

    return detect


def fold_nets(folder: Path) -> dict[str, UNet2Sigmoid]:
    """The network that was trained on each fold of the STIS pair. Raises ModelError if missing."""
    return {fold: load_net(f"stis-{fold}", folder / "study")[0] for fold in FOLDS}


@dataclass(frozen=True)
class Pair:
    """A plain and a Bayesian network of the same start, data and steps, the latter as draws."""

    seed: int
    plain: UNet2Sigmoid
    draws: tuple[UNet2Sigmoid, ...]


def compared_pairs(folder: Path, samples: int, seed: int) -> list[Pair]:
    """One pair a training seed. Raises ModelError where a network is missing."""
    plains, _ = load_members("cosmicrays-ensemble", folder)
    shipped = load_net("cosmicrays-vi", folder)[0]
    pairs = []
    for number, plain in zip(SEEDS, plains[: len(SEEDS)], strict=True):
        bayesian = shipped if number == 1 else load_net(f"vi-{number}", folder / "study")[0]
        generator = torch.Generator().manual_seed(seed + number)
        pairs.append(Pair(number, plain, sampled_nets(bayesian, samples, generator)))
    return pairs


def passes_beside(
    folder: Path, pairs: Sequence[Pair], samples: int, seed: int
) -> dict[str, Sequence[UNet2Sigmoid]]:
    """The other ways to doubt: eight views, an ensemble, MC dropout, views of an ensemble."""
    middle = pairs[1].plain
    plains, _ = load_members("cosmicrays-ensemble", folder)
    beside: dict[str, Sequence[UNet2Sigmoid]] = {
        "plain_8_views": viewed_nets(middle, ALL_VIEWS),
        f"ensemble_of_{len(plains)}": plains,
    }
    try:
        net, _ = load_net("dropout-1", folder / "study")
    except ModelError:
        return beside
    dropout = UNet2SigmoidDropout(net.hidden)
    dropout.load_state_dict(net.state_dict())
    generator = torch.Generator().manual_seed(seed)
    beside[f"mc_dropout_{samples}"] = [dropout.draw(generator) for _ in range(samples)]
    return beside
