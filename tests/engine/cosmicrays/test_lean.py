"""The lean network says what the network says."""

from __future__ import annotations

import pytest
import torch

from engine.cosmicrays.lean import LeanUNet
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI


@pytest.mark.parametrize("shape", [(2, 2), (2, 8), (6, 4), (18, 26)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_logits_are_those_of_the_network(shape: tuple[int, int], *, batch_norm: bool) -> None:
    torch.manual_seed(3)
    net = UNet2Sigmoid(4, batch_norm=batch_norm).eval()
    with torch.inference_mode():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
        x = torch.randn(2, 1, *shape)
        torch.testing.assert_close(LeanUNet(net).logits(x), net.logits(x), atol=2e-5, rtol=1e-5)


def test_weights_that_are_not_drawn_are_refused() -> None:
    with pytest.raises(TypeError, match="draw them with sampled_nets"):
        LeanUNet(UNet2SigmoidVI(4))
