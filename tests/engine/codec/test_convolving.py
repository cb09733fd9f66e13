"""The fast convolutions are the layers' own, up to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.codec.convolving import convolved, from_phases, phase_weight, phases_of


@pytest.mark.parametrize("sides", [(16, 24), (8, 10), (7, 9), (2, 40)])
@pytest.mark.parametrize("layer", [nn.Conv2d(7, 5, 3, 1, 1), nn.Conv2d(7, 5, 5, 2, 2)])
def test_they_give_what_the_layer_gives(layer: nn.Conv2d, sides: tuple[int, int]):
    images = torch.randn(2, 7, *sides, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(convolved(layer, images), layer(images), atol=1e-4, rtol=1e-4)


def test_a_kernel_goes_to_the_phase_and_row_that_it_meets():
    weight = torch.arange(25.0).reshape(1, 1, 5, 5)
    found = phase_weight(weight)
    assert found.shape == (1, 4, 3, 3)
    assert found[0, 0].tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert found[0, 3].tolist() == [[6, 8, 0], [16, 18, 0], [0, 0, 0]]


def test_training_goes_through_the_layer_itself():
    layer = nn.Conv2d(2, 3, 3, 1, 1)
    convolved(layer, torch.randn(1, 2, 16, 16)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("stride", [2, 4])
def test_phases_are_those_of_pixel_unshuffle_and_go_back(stride: int):
    images = torch.randn(2, 3, 4 * stride, 5 * stride)
    phases = phases_of(images, stride)
    assert torch.equal(phases, functional.pixel_unshuffle(images, stride))
    assert torch.equal(from_phases(phases, stride), images)
