"""The eight views of a frame: a network's mean over flips and quarter turns, as eight networks."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.cosmicrays.choices import VIEW_COUNTS
from engine.cosmicrays.unet import UNet2Sigmoid


def viewed_nets(net: UNet2Sigmoid, views: int) -> tuple[UNet2Sigmoid, ...]:
    """The networks whose mean output is the mean of `net` over `views` views, 1 or 8.

    Turning the frame, running the network and turning its output back is the same as running it
    with turned kernels, since pooling by 2 x 2 and the frame's padding by zeros have no direction
    of their own on a frame of even sides. So the pixels stay where they are, and a view costs one
    pass. Raises ValueError on another number of views.
    """
    if views not in VIEW_COUNTS:
        raise ValueError(f"views must be one of {VIEW_COUNTS}, got {views}")
    if views == 1:
        return (net,)
    return tuple(
        _turned(net, turns, mirrored=mirrored) for turns in range(4) for mirrored in (False, True)
    )


@torch.no_grad()
def _turned(net: UNet2Sigmoid, turns: int, *, mirrored: bool) -> UNet2Sigmoid:
    """The network that undoes a view: out = back(net(view(x))) for every x."""
    state = {
        name: _back(value, turns, mirrored) if value.dim() == 4 else value
        for name, value in net.state_dict().items()
    }
    turned = UNet2Sigmoid(net.hidden, batch_norm=net.batch_norm)
    turned.load_state_dict(state)
    return turned.eval()


def _back(kernel: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Undo `turns` quarter turns and then a mirroring of the rows, on the last two axes."""
    upright = kernel.flip(-2) if mirrored else kernel
    return torch.rot90(upright, -turns, (-2, -1))
