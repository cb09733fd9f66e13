"""Maps: seams, sizes, seeds, and the bounds of the entropies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.cosmicrays.weights import sampled_nets


def draws(net: UNet2SigmoidVI, samples: int, seed: int = 0) -> tuple[UNet2Sigmoid, ...]:
    return sampled_nets(net, samples, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tile_px", [32, 64])
def test_tiles_leave_no_seam(bayesian_net: UNet2SigmoidVI, tile_px: int) -> None:
    scaled = np.random.default_rng(0).normal(0, 2, (101, 134)).astype(np.float32)
    nets = draws(bayesian_net, 3)
    whole = evidence_maps(nets, scaled, tile_px=256)
    tiled = evidence_maps(nets, scaled, tile_px=tile_px)
    for name in ("probability", "predictive_entropy", "expected_entropy", "mutual_information"):
        np.testing.assert_allclose(getattr(tiled, name), getattr(whole, name), atol=1e-5)


def test_one_net_pads_at_bottom_and_right_alone(plain_net: UNet2Sigmoid) -> None:
    """An odd frame keeps the pooling grid of the even frame that it is the corner of."""
    scaled = np.random.default_rng(1).normal(0, 1, (64, 64)).astype(np.float32)
    even = evidence_maps((plain_net,), scaled).probability
    odd = evidence_maps((plain_net,), scaled[:63, :61]).probability
    np.testing.assert_allclose(odd[:45, :45], even[:45, :45], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (17, 16), (33, 1)])
def test_any_size_works(plain_net: UNet2Sigmoid, shape: tuple[int, int]) -> None:
    maps = evidence_maps((plain_net,), np.zeros(shape, np.float32))
    assert maps.probability.shape == maps.mutual_information.shape == shape
    assert maps.probability.dtype == np.float32


def test_one_sample_disagrees_with_nobody(plain_net: UNet2Sigmoid) -> None:
    scaled = np.random.default_rng(1).normal(0, 3, (20, 20)).astype(np.float32)
    maps = evidence_maps((plain_net,), scaled)
    np.testing.assert_allclose(maps.mutual_information, 0, atol=1e-6)
    expected = torch.sigmoid(plain_net.logits(torch.from_numpy(scaled)[None, None]))[0, 0]
    np.testing.assert_allclose(maps.probability, expected.detach().numpy(), atol=1e-6)


def test_entropies_are_those_of_the_samples(bayesian_net: UNet2SigmoidVI) -> None:
    scaled = np.random.default_rng(2).normal(0, 3, (8, 8)).astype(np.float32)
    nets = draws(bayesian_net, 5)
    x = torch.from_numpy(scaled)[None, None]
    p = torch.stack([net(x)[0, 0].detach() for net in nets]).double().numpy()
    maps = evidence_maps(nets, scaled)

    def entropy(q: np.ndarray) -> np.ndarray:
        return -(q * np.log(q) + (1 - q) * np.log(1 - q))

    np.testing.assert_allclose(maps.probability, p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(maps.predictive_entropy, entropy(p.mean(0)), rtol=1e-4)
    np.testing.assert_allclose(maps.expected_entropy, entropy(p).mean(0), rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 1e4), st.integers(1, 4))
def test_entropy_bounds(seed: int, contrast: float, samples: int) -> None:
    net = UNet2SigmoidVI(2)
    for _, layer in net.variational_layers():
        layer.rho.data += 3.0
    scaled = np.random.default_rng(seed).normal(0, contrast, (9, 10)).astype(np.float32)
    maps = evidence_maps(draws(net.eval(), samples, seed), scaled)
    assert (maps.mutual_information >= 0).all()
    assert (maps.mutual_information <= maps.predictive_entropy).all()
    assert (maps.expected_entropy >= 0).all()
    assert (maps.predictive_entropy <= np.float32(np.log(2))).all()


def test_temperature_softens_towards_a_half(plain_net: UNet2Sigmoid) -> None:
    scaled = np.random.default_rng(3).normal(0, 3, (16, 16)).astype(np.float32)
    sharp = evidence_maps((plain_net,), scaled).probability
    soft = evidence_maps((plain_net,), scaled, temperature=4.0).probability
    assert (np.abs(soft - 0.5) <= np.abs(sharp - 0.5)).all()


def test_an_odd_tile_is_refused(plain_net: UNet2Sigmoid) -> None:
    with pytest.raises(ValueError, match="even tile"):
        evidence_maps((plain_net,), np.zeros((4, 4), np.float32), tile_px=33)
