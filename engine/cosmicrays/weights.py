"""Networks on disk: safetensors beside a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from engine.cards import ModelCard, file_digest, read_card
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI, build_unet
from engine.errors import ModelError


def save_net(net: UNet2Sigmoid, path: Path) -> str:
    """Write the float32 weights of a network, and return the sha256 of the file as hex."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous().clone() for name, value in net.state_dict().items()}
    path.write_bytes(save(state))
    return file_digest(path)


def save_members(nets: Sequence[UNet2Sigmoid], path: Path) -> str:
    """Write the members of an ensemble in one file, keys led by the member's number; its sha256.

    The card's architecture states `members`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        f"{number}.{name}": value.detach().contiguous().clone()
        for number, net in enumerate(nets)
        for name, value in net.state_dict().items()
    }
    path.write_bytes(save(state))
    return file_digest(path)


def load_members(name: str, folder: Path) -> tuple[tuple[UNet2Sigmoid, ...], ModelCard]:
    """Read all networks of a card: the members of an ensemble, or its one network.

    Raises ModelError as `load_net` does.
    """
    card = read_card(name, folder)
    if "members" not in card.architecture:
        net, card = load_net(name, folder)
        return (net,), card
    try:
        hidden, members = int(card.architecture["hidden"]), int(card.architecture["members"])
        state = load_file(folder / f"{name}.safetensors")
        nets = []
        for number in range(members):
            net = build_unet(hidden)
            lead = f"{number}."
            net.load_state_dict(
                {key[len(lead) :]: value for key, value in state.items() if key.startswith(lead)}
            )
            nets.append(net.eval())
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} do not fit its card ({error}): train it again"
        ) from error
    return tuple(nets), card


def load_net(name: str, folder: Path) -> tuple[UNet2Sigmoid, ModelCard]:
    """Read a network and its card.

    Raises ModelError when either is missing, they disagree, or the weights do not fit the
    architecture that the card states.
    """
    card = read_card(name, folder)
    try:
        hidden, bayesian = int(card.architecture["hidden"]), bool(card.architecture["bayesian"])
        net = build_unet(hidden, bayesian=bayesian)
        net.load_state_dict(load_file(folder / f"{name}.safetensors"))
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} do not fit its card ({error}): train it again"
        ) from error
    return net.eval(), card


def sampled_nets(
    net: UNet2Sigmoid, samples: int, generator: torch.Generator
) -> tuple[UNet2Sigmoid, ...]:
    """Freeze `samples` draws of a Bayesian network; a plain one is its own only sample."""
    if isinstance(net, UNet2SigmoidVI):
        return tuple(net.draw(generator) for _ in range(samples))
    return (net,)
