"""MC dropout, for comparison: a plain network whose channels are left out at random."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.cosmicrays.unet import UNet2Sigmoid

SHARE = 0.1


class UNet2SigmoidDropout(UNet2Sigmoid):
    """UNet2Sigmoid that drops whole channels of the deep and of the last features in training.

    `draw` gives a plain network with channels dropped once for a whole frame (Gal & Ghahramani
    2016, with the masks of Tompson et al. 2015): the weights that would read them are zero, the
    others are scaled by 1 / (1 - share).
    """

    def logits(self, x: Tensor) -> Tensor:
        """The logit of the probability; channels are dropped in training only."""
        fine = self.enter(x)
        deep = self._dropped(self.deep(functional.max_pool2d(fine, 2)))
        last = self._dropped(self.merge(torch.cat([fine, self.up(deep)], dim=1)))
        logits: Tensor = self.leave(last)
        return logits

    def _dropped(self, features: Tensor) -> Tensor:
        return functional.dropout2d(features, SHARE, self.training)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> UNet2Sigmoid:
        """A plain network without some of the channels."""
        state = {name: value.clone() for name, value in self.state_dict().items()}
        for name, axis in (("up.weight", 0), ("leave.weight", 1)):
            channels = state[name].shape[axis]
            kept = torch.rand(channels, generator=generator) >= SHARE
            shape = [channels if number == axis else 1 for number in range(4)]
            state[name] *= (kept.float() / (1 - SHARE)).view(shape)
        net = UNet2Sigmoid(self.hidden)
        net.load_state_dict(state)
        return net.eval()
