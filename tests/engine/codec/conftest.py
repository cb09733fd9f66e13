"""A tiny untrained model: its transform is the DCT, so that it codes images as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.codec.model import CodecModel, freeze
from engine.codec.network import DropoutAutoencoder, Widths
from engine.frame import Frame, Origin
from engine.sky import terrain

TINY = Widths(latent=256, hyper=4, fine=8, middle=8, coarse=8)


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    """Threads that wait for each other on a busy machine make tiny models slow."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_stored() -> bytes:
    """Stored bytes of a tiny model whose every layer says something."""
    torch.manual_seed(5)
    network = DropoutAutoencoder(TINY)
    with torch.no_grad():
        for layer in (network.encode_coarse, network.hyper_out, network.residual):
            layer.weight.normal_(0.0, 0.002)
        for stage in network.context.networks:
            stage.out.weight.normal_(0.0, 0.05)
    return freeze(network)


@pytest.fixture(scope="session")
def tiny_model(tiny_stored: bytes) -> CodecModel:
    return CodecModel.from_bytes(tiny_stored)


@pytest.fixture(scope="session")
def ground() -> Frame:
    """An 8-bit landscape, 80 rows by 112 columns: neither is a multiple of a tile."""
    pixels = np.rint(terrain(np.random.default_rng(3), (80, 112))).astype(np.uint8)
    return Frame.of(pixels, Origin("test", "ground"))
