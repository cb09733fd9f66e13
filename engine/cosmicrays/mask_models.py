"""Mask models by name or file: this package's, one's own, and deepCR's, each with its input."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.cards import WEIGHTS
from engine.cosmicrays.deepcr import SUFFIXES, installed_deepcr, load_deepcr
from engine.cosmicrays.pipeline import temperature_of
from engine.cosmicrays.policy import MODEL_NAMES
from engine.cosmicrays.scaling import NoiseScale
from engine.cosmicrays.unet import UNet2Sigmoid, folded
from engine.cosmicrays.variational import build_unet
from engine.cosmicrays.weights import load_net
from engine.errors import ModelError
from engine.frame import Mask, Pixels

InputKind = Literal["noise_units", "electrons", "standardised"]

OURS = {"unet": MODEL_NAMES["unet"], "vi": MODEL_NAMES["vi"]}
# What deepCR 0.3.1 does to a frame before each model that it names; the others want electrons.
THEIR_SCALE = {"example_model": 100.0}
THEIR_STANDARDISED = ("WFC3-UVIS",)


@dataclass(frozen=True)
class MaskModel:
    """A network with what it wants to see: noise units, electrons / `scale`, or a standard frame.

    "noise_units" is `NoiseScale.apply`, "standardised" (pixels - mean) / standard deviation of the
    whole frame.
    """

    name: str
    net: UNet2Sigmoid
    input: InputKind
    scale: float = 1.0
    temperature: float = 1.0

    def scaled(self, pixels: Pixels, bad: Mask) -> Pixels:
        """The network's input; `pixels` float32 (H, W), finite. Raises NotApplicable as needed."""
        if self.input == "noise_units":
            return NoiseScale.of(pixels, bad if bad.any() and not bad.all() else None).apply(pixels)
        if self.input == "standardised":
            spread = np.float32(pixels.std() or 1.0)
            standard: Pixels = (pixels - np.float32(pixels.mean(dtype=np.float64))) / spread
            return standard
        return pixels / np.float32(self.scale)


def load_mask_model(mask: str | Path, folder: Path = WEIGHTS) -> MaskModel:
    """Load a mask model.

    `mask` is "unet" or "vi" (or "cosmicrays-unet", ...) for this package's, a path to .safetensors
    or .pth for one's own or a file of deepCR's, or a name that deepCR ships ("ACS-WFC", "decam",
    "WFC3-UVIS", "example_model", "ACS-WFC-F606W", ...; needs the extra [deepcr]). Width and kind
    are read off the weights. Raises ModelError where there is no such model, or another network.
    """
    name = str(mask)
    ours = OURS.get(name, name)
    if ours in MODEL_NAMES.values():
        net, card = load_net(ours, folder)
        label = next(method for method, model in MODEL_NAMES.items() if model == ours)
        return MaskModel(ours, net, "noise_units", temperature=temperature_of(card, label))
    path = Path(mask)
    if path.suffix in (*SUFFIXES, ".safetensors"):
        return _from_file(path)
    net = load_deepcr(installed_deepcr(name))
    kind: InputKind = "standardised" if name in THEIR_STANDARDISED else "electrons"
    return MaskModel(name, net, kind, THEIR_SCALE.get(name, 1.0))


def _from_file(path: Path) -> MaskModel:
    state = _read(path)
    if "leave.bias" not in state:
        return MaskModel(path.stem, load_deepcr(path), "electrons")
    bayesian = "leave.rho" in state
    try:
        hidden = int(state["leave.mean" if bayesian else "leave.weight"].shape[1])
        batch_norm = any(name.endswith("running_mean") for name in state)
        net = (
            build_unet(hidden, bayesian=True)
            if bayesian
            else UNet2Sigmoid(hidden, batch_norm=batch_norm)
        )
        net.load_state_dict(dict(state))
    except (KeyError, IndexError, RuntimeError) as error:
        raise ModelError(f"{path} holds another network ({error}): train it again") from error
    net.eval()
    return MaskModel(path.stem, folded(net) if batch_norm else net, "noise_units")


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"{path} holds no weights that can be read ({error}): check its name"
        ) from error
    if not isinstance(state, Mapping):
        raise ModelError(f"{path} holds no network's weights but {type(state).__name__}")
    return state
