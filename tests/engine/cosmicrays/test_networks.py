"""The two networks: shape, folding, posterior, and the sampling that training relies on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from engine.cosmicrays.unet import UNet2Sigmoid, folded
from engine.cosmicrays.variational import (
    UNet2SigmoidVI,
    VariationalConv2d,
    VariationalUpConv2d,
    build_unet,
)


def test_the_flag_chooses_the_network() -> None:
    assert isinstance(build_unet(4, bayesian=True), UNet2SigmoidVI)
    assert not isinstance(build_unet(4), UNet2SigmoidVI)


def test_the_shipped_size_is_that_of_deepcr() -> None:
    assert sum(value.numel() for value in build_unet(32).parameters()) == 100_961


def test_a_network_needs_features() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        build_unet(0)


def test_output_is_a_probability_of_the_input_size(plain_net: UNet2Sigmoid) -> None:
    x = 100 * torch.randn(2, 1, 12, 18)
    p = plain_net(x)
    assert p.shape == x.shape
    assert ((p >= 0) & (p <= 1)).all()


def test_folding_keeps_the_function() -> None:
    torch.manual_seed(0)
    net = UNet2Sigmoid(4, batch_norm=True)
    for _ in range(20):
        net(3 + 2 * torch.randn(4, 1, 16, 16))
    net.eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    x = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(folded(net).logits(x), net.logits(x), rtol=1e-4, atol=1e-4)


def test_kl_matches_torch_distributions(bayesian_net: UNet2SigmoidVI) -> None:
    expected = torch.zeros(())
    for _, layer in bayesian_net.variational_layers():
        posterior = torch.distributions.Normal(layer.mean, layer.sigma)
        prior = torch.distributions.Normal(0.0, layer.prior_sigma)
        expected = expected + torch.distributions.kl_divergence(posterior, prior).sum()
    torch.testing.assert_close(bayesian_net.kl(), expected, rtol=1e-5, atol=1e-4)


def test_kl_of_the_prior_to_itself_is_zero() -> None:
    layer = VariationalConv2d(2, 3, 3, torch.Generator())
    with torch.no_grad():
        layer.mean.zero_()
        layer.rho.copy_(torch.log(torch.expm1(layer.prior_sigma)).expand_as(layer.rho))
    assert abs(layer.kl().item()) < 1e-5


@pytest.mark.parametrize("kind", [VariationalConv2d, VariationalUpConv2d])
def test_sampling_outputs_equals_sampling_weights(kind: type) -> None:
    """Local reparameterisation has the mean and variance of drawing the weights themselves."""
    generator = torch.Generator().manual_seed(11)
    arguments = (2, 3, 3, generator) if kind is VariationalConv2d else (2, 3, generator)
    layer = kind(*arguments)
    x = torch.randn(1, 2, 5, 5, generator=generator)
    draws = 6000
    with torch.no_grad():
        layer.rho += 2.0
        layer.bias.normal_(generator=generator)
        layer.train()
        local = torch.stack([layer(x) for _ in range(draws)])
        weights = torch.stack(
            [layer._linear(x, layer.drawn_weight(generator), layer.bias) for _ in range(draws)]
        )
    spread = weights.std(0)
    standard_error = spread * np.sqrt(2 / draws)
    assert ((local.mean(0) - weights.mean(0)).abs() < 5 * standard_error).all()
    torch.testing.assert_close(local.std(0), spread, rtol=0.07, atol=0)


def test_draws_repeat_under_a_seed_and_differ_between_samples(
    bayesian_net: UNet2SigmoidVI,
) -> None:
    x = torch.randn(1, 1, 8, 8)
    generator = torch.Generator().manual_seed(1)
    first, second = bayesian_net.draw(generator), bayesian_net.draw(generator)
    again = bayesian_net.draw(torch.Generator().manual_seed(1))
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), second(x))


def test_draws_spread_as_the_posterior_says(bayesian_net: UNet2SigmoidVI) -> None:
    name, layer = next(bayesian_net.variational_layers())
    generator = torch.Generator().manual_seed(2)
    drawn = torch.stack([layer.drawn_weight(generator) for _ in range(3000)])
    assert name == "enter.0"
    torch.testing.assert_close(drawn.std(0), layer.sigma.detach(), rtol=0.08, atol=0)


def test_evaluation_uses_the_means(bayesian_net: UNet2SigmoidVI, plain_net: UNet2Sigmoid) -> None:
    x = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(bayesian_net(x), plain_net(x))
    torch.testing.assert_close(bayesian_net.at_mean()(x), plain_net(x))


def test_training_noise_restarts_from_its_seed(bayesian_net: UNet2SigmoidVI) -> None:
    x = torch.randn(1, 1, 8, 8)
    bayesian_net.train()
    bayesian_net.seed_noise(4)
    first, second = bayesian_net(x), bayesian_net(x)
    bayesian_net.seed_noise(4)
    assert torch.equal(bayesian_net(x), first)
    assert not torch.equal(first, second)
