"""deepCR's own weight files, run by this package's network of the same shape."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.cosmicrays.unet import UNet2Sigmoid, folded
from engine.errors import ModelError

PARTS = {
    "inc.conv.conv": "enter",
    "down1.mpconv.1.conv": "deep",
    "up8.up": "up",
    "up8.conv.conv": "merge",
    "outc.conv": "leave",
}
ACS_WFC = "ACS-WFC"
SUFFIXES = (".pth", ".pt")


def load_deepcr(path: Path) -> UNet2Sigmoid:
    """Load a mask model of deepCR (Zhang & Bloom 2020): plain, batch-norm or weight-norm U-Net-2.

    The architecture and its width are read off the keys; normalisations are folded into the
    convolutions. The network wants what its model was trained on: electrons for ACS-WFC and decam,
    electrons / 100 for example_model, standardised frames for WFC3-UVIS.
    Raises ModelError when the file is missing or holds another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path} holds no weights that can be read ({error}): fetch it again"
        ) from error
    try:
        renamed = _plain_weights({_renamed(name): value for name, value in state.items()})
        net = UNet2Sigmoid(
            renamed["leave.weight"].shape[1],
            batch_norm=any(name.endswith("running_mean") for name in renamed),
        )
        net.load_state_dict(renamed)
    except (AttributeError, KeyError, IndexError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a two-level mask model of deepCR ({error}): give one of its mask files"
        ) from error
    return folded(net) if net.batch_norm else net.eval()


def _renamed(name: str) -> str:
    inside = name.removeprefix("module.")
    for theirs, ours in PARTS.items():
        if inside.startswith(f"{theirs}."):
            return ours + inside.removeprefix(theirs)
    raise KeyError(name)


def _plain_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo weight normalisation: w = g v / |v| per output (Salimans & Kingma 2016)."""
    plain = {}
    for name, value in state.items():
        if name.endswith("weight_v"):
            gain = state[name.removesuffix("v") + "g"]
            norm = value.flatten(1).norm(dim=1).reshape(gain.shape)
            plain[name.removesuffix("_v")] = gain * value / norm
        elif not name.endswith("weight_g"):
            plain[name] = value
    return plain


def find_deepcr(model: str) -> Path:
    """The weight file of a mask model given by its path or by the name that deepCR ships it under.

    Raises ModelError where there is neither.
    """
    path = Path(model)
    return path if path.suffix in SUFFIXES else installed_deepcr(model)


def installed_deepcr(model: str = ACS_WFC) -> Path:
    """The weight file of a mask model of the installed deepCR package, found without importing it.

    Raises ModelError, naming the extra to install, where the package or the model is missing.
    """
    package = importlib.util.find_spec("learned_models")
    if package is None or package.origin is None:
        raise ModelError("deepCR is not installed: pip install 'skysieve[deepcr]'")
    path = Path(package.origin).parent / "mask" / f"{model}.pth"
    if not path.is_file():
        raise ModelError(
            f"the installed deepCR has no mask model {model!r}: pip install 'skysieve[deepcr]'"
        )
    return path
