"""The plain network: a two-level U-Net of deepCR's shape."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

RARE_LOGIT = -4.0


class UNet2Sigmoid(nn.Module):
    """Two-level U-Net: two 3x3 convolutions, down, two more, up, two more on the joined features.

    Input (B, 1, H, W) float, H and W even, from `engine.cosmicrays.scaling`; output the
    probability of a cosmic ray, (B, 1, H, W) in [0, 1]. `hidden` is the number of features at full
    resolution. With `batch_norm` each 3x3 convolution is followed by a normalisation, for training
    only: `folded` gives the same function without it.

    Zhang & Bloom 2020, ApJ 889, 24 (deepCR, "2-32").
    """

    def __init__(self, hidden: int = 32, *, batch_norm: bool = False) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {hidden}")
        self.hidden = hidden
        self.batch_norm = batch_norm
        self.enter = self._double_conv(1, hidden)
        self.deep = self._double_conv(hidden, 2 * hidden)
        self.up = self._up(2 * hidden, hidden)
        self.merge = self._double_conv(2 * hidden, hidden)
        self.leave = self._conv(hidden, 1, kernel=1)

    def _conv(self, inputs: int, outputs: int, *, kernel: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def _up(self, inputs: int, outputs: int) -> nn.Module:
        return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)

    def _double_conv(self, inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(*self._layers(inputs, outputs), *self._layers(outputs, outputs))

    def _layers(self, inputs: int, outputs: int) -> Iterator[nn.Module]:
        yield self._conv(inputs, outputs, kernel=3)
        if self.batch_norm:
            yield nn.BatchNorm2d(outputs)
        yield nn.ReLU(inplace=True)

    def logits(self, x: Tensor) -> Tensor:
        """The logit of the probability, same shape as `x`."""
        fine = self.enter(x)
        coarse = self.deep(functional.max_pool2d(fine, 2))
        joined = torch.cat([fine, self.up(coarse)], dim=1)
        logits: Tensor = self.leave(self.merge(joined))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(x))

    def channels_last(self) -> UNet2Sigmoid:
        """Store the weights in the order that CPU convolutions are fastest in; returns itself."""
        for value in self.parameters():
            if value.dim() == 4:
                value.data = value.data.contiguous(memory_format=torch.channels_last)
        return self

    def expect_rare_hits(self) -> None:
        """Start the output at a probability of 2 %, near the share of positives in training."""
        nn.init.constant_(self.get_parameter("leave.bias"), RARE_LOGIT)


@torch.no_grad()
def folded(net: UNet2Sigmoid) -> UNet2Sigmoid:
    """The same function with each batch normalisation folded into the convolution before it.

    w' = w * g, b' = (b - running_mean) * g + beta, with g = gamma / sqrt(running_var + eps)
    (Jacob et al. 2018, section 3.2).
    """
    plain = UNet2Sigmoid(net.hidden)
    for name in ("enter", "deep", "merge"):
        source, target = net.get_submodule(name), plain.get_submodule(name)
        convolutions = [layer for layer in source.children() if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in source.children() if isinstance(layer, nn.BatchNorm2d)]
        folded_into = [layer for layer in target.children() if isinstance(layer, nn.Conv2d)]
        for convolution, norm, result in zip(convolutions, norms, folded_into, strict=True):
            _fold(convolution, norm, result)
    plain.up.load_state_dict(net.up.state_dict())
    plain.leave.load_state_dict(net.leave.state_dict())
    return plain.eval()


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d, result: nn.Conv2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or convolution.bias is None or result.bias is None:
        raise ValueError("folding needs running statistics and biases: build with build_unet")
    gain = norm.weight / torch.sqrt(variance + norm.eps)
    result.weight.copy_(convolution.weight * gain[:, None, None, None])
    result.bias.copy_((convolution.bias - mean) * gain + norm.bias)
