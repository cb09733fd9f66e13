"""Tiny networks and frames, so that every test takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cards import ModelCard, write_card
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI, build_unet
from engine.cosmicrays.weights import save_net
from engine.frame import Frame, Origin, Pixels

HIDDEN = 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks lose more to threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plain_net() -> UNet2Sigmoid:
    torch.manual_seed(3)
    return build_unet(HIDDEN).eval()


@pytest.fixture
def bayesian_net(plain_net: UNet2Sigmoid) -> UNet2SigmoidVI:
    net = UNet2SigmoidVI(HIDDEN)
    net.start_from(plain_net)
    for _, layer in net.variational_layers():
        layer.rho.data += 1.0
    return net.eval()


@pytest.fixture
def noise() -> Pixels:
    """A noisy sky of 70 x 55 pixels, 100 electrons."""
    return np.random.default_rng(5).normal(100, 10, (70, 55)).astype(np.float32)


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    def make(pixels: np.ndarray, **facts: object) -> Frame:
        return Frame.of(pixels, Origin("test", "one"), unit="electron", **facts)

    return make


@pytest.fixture
def tiny_weights(tmp_path: Path, plain_net: UNet2Sigmoid, bayesian_net: UNet2SigmoidVI) -> Path:
    """A weights folder with untrained networks of both kinds."""
    for name, net in (("cosmicrays-unet", plain_net), ("cosmicrays-vi", bayesian_net)):
        digest = save_net(net, tmp_path / f"{name}.safetensors")
        bayesian = isinstance(net, UNet2SigmoidVI)
        card = ModelCard(
            name=name,
            pipeline="cosmicrays",
            digest=digest,
            description="untrained",
            architecture={"hidden": HIDDEN, "bayesian": bayesian},
            data="none",
            seed=0,
            command="",
            device="CPU",
            trained_at=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            calibration={"temperature": 1.0},
        )
        write_card(tmp_path, card)
    return tmp_path
