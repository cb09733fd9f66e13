"""ContextModel: what is already coded of a tile says what the rest of it will be.

Latents are coded in stages: slices of channels from low to high frequency (Minnen and Singh, 2020,
"Channel-wise autoregressive entropy models"), and within the lower slices by classes of cells, a
quarter, its diagonals, the rest (He et al., 2021, "Checkerboard context model", in one more step).
A small network per stage corrects the mean and scale that the hyperprior predicts, from the 3 x 3
cells around of everything that earlier stages coded. Training and coding run the same lines below:
training in floating point, the coder in dyadic numbers that are exact on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

SLICES = (
    (0, 8, ("quarter", "diagonal", "rest")),
    (8, 32, ("half", "rest")),
    (32, 96, ("all",)),
    (96, 1 << 16, ("all",)),
)
"""First and last channel, and the classes of cells in the order in which they are coded."""
CORNERS = {
    "quarter": ((0, 0),),
    "diagonal": ((1, 1),),
    "half": ((0, 0), (1, 1)),
    "rest": ((0, 1), (1, 0)),
}
"""First cells of the lattices of every second row and column that make up a class."""
SQUEEZED, HIDDEN = 48, 64
DEVIATION_UNIT = 16.0
LARGEST_DEVIATION = 128.0
LARGEST_SYMBOL = 255
LARGEST_ACTIVATION = 1024.0
MIDDLE_LOG_Q = 2.5
MEAN_GAIN = 20.0

Rounding = Callable[[Tensor], Tensor]
Code = Callable[["Stage", Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Stage:
    """The channels `first` to `last` of the cells of a class; `known` channels are seen before.

    The first stage of all sees nothing.
    """

    number: int
    first: int
    last: int
    cells: str

    @property
    def begins_slice(self) -> bool:
        return self.cells in ("quarter", "half", "all")

    @property
    def known(self) -> int:
        """Channels that may hold coded symbols when this stage begins."""
        return self.first if self.begins_slice else self.last


@cache
def stages_of(channels: int) -> tuple[Stage, ...]:
    """The stages of a latent of so many channels, in the order of coding."""
    found: list[Stage] = []
    for first, last, classes in SLICES:
        if first < channels:
            ends = first, min(last, channels)
            found += [Stage(len(found) + n, *ends, name) for n, name in enumerate(classes)]
    return tuple(found)


@cache
def cells_in(name: str, rows: int, columns: int) -> NDArray[np.bool_]:
    """Which cells belong to a class, bool (rows, columns), counted from the tile's corner."""
    down, across = np.indices((rows, columns)) % 2
    named = {
        "all": down >= 0,
        "quarter": (down == 0) & (across == 0),
        "diagonal": (down == 1) & (across == 1),
        "half": down == across,
        "rest": down != across,
    }
    return np.asarray(named[name])


class StageNetwork(nn.Module):
    """Corrections of one stage: mean and log scale, from coded symbols and the hyperprior."""

    def __init__(self, stage: Stage, guides: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(2 * stage.known, SQUEEZED, 1)
        self.around = nn.Conv2d(SQUEEZED, HIDDEN, 3, 1, 1)
        self.guide = nn.Conv2d(guides + 1, HIDDEN, 1)
        self.out = nn.Conv2d(HIDDEN, 2 * (stage.last - stage.first), 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def corrections(
        self, features: Tensor, guide: Tensor, cells: str, rounded: Rounding
    ) -> tuple[Tensor, Tensor]:
        """Corrections (B, c, h, w) of mean and log scale, 0 outside the class of cells.

        `rounded` follows every layer.
        """
        seen = _activated(self.squeeze(features), rounded)
        if cells not in CORNERS:
            hidden = _activated(self.around(seen) + self.guide(guide), rounded)
            mean, log_scale = rounded(self.out(hidden)).chunk(2, 1)
            return mean, log_scale
        wide = functional.pad(seen, (1, 1, 1, 1))
        made = seen.new_zeros((len(seen), self.out.out_channels, *seen.shape[2:]))
        for y, x in CORNERS[cells]:
            if y < seen.shape[2] and x < seen.shape[3]:
                around = functional.conv2d(
                    wide[:, :, y:, x:], self.around.weight, self.around.bias, 2
                )
                beside = self.guide(guide[:, :, y::2, x::2])
                hidden = _activated(around + beside, rounded)
                made[:, :, y::2, x::2] = rounded(self.out(hidden))
        mean, log_scale = made.chunk(2, 1)
        return mean, log_scale


class ContextModel(nn.Module):
    """The networks of all stages but the first, and the walk through the stages.

    Without `staged` there is one stage, and the hyperprior's word stands.
    """

    def __init__(self, channels: int, guides: int, *, staged: bool) -> None:
        super().__init__()
        self.stages = stages_of(channels) if staged else (Stage(0, 0, channels, "all"),)
        self.networks = nn.ModuleList(StageNetwork(stage, guides) for stage in self.stages[1:])

    def walk(
        self,
        predicted: tuple[Tensor, Tensor],
        guide: Tensor,
        q: Tensor,
        code: Code,
        rounded: Rounding = lambda values: values,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Go through the stages; return symbols, means and log scales, all (B, C, h, w).

        `predicted` are the hyperprior's mean and log scale (B, C, h, w), `guide` its features with
        ln q, (B, guides + 1, h, w), and `q` the step, broadcastable. `code(stage, mean,
        log_scale)` gives the symbols of the stage's channels at all cells; those of its own cells
        are kept. `rounded` makes numbers dyadic where the coder must.
        """
        done: list[tuple[Tensor, Tensor, Tensor]] = []
        features: list[Tensor] = []
        for stage in self.stages:
            mean, log_scale = (part[:, stage.first : stage.last] for part in predicted)
            here = torch.from_numpy(cells_in(stage.cells, *mean.shape[2:]))
            symbols, means, log_scales = torch.zeros_like(mean), mean, log_scale
            if not stage.begins_slice:
                symbols, means, log_scales = done.pop()
            if stage.number:
                network = cast(StageNetwork, self.networks[stage.number - 1])
                added = network.corrections(torch.cat(features, 1), guide, stage.cells, rounded)
                means = torch.where(here, mean + added[0] * MEAN_GAIN, means)
                log_scales = torch.where(here, log_scale + added[1], log_scales)
            symbols = torch.where(here, code(stage, means, log_scales), symbols)
            done.append((symbols, means, log_scales))
            del features[len(done) - 1 :]
            features.append(rounded(_features(symbols, symbols * q + means - mean)))
        symbols, means, log_scales = (torch.cat(parts, 1) for parts in zip(*done, strict=True))
        return symbols, means, log_scales


def _features(symbols: Tensor, deviation: Tensor) -> Tensor:
    """How far the coded latents lie from the hyperprior's mean, and ln(1 + |symbol|)."""
    near = (deviation / DEVIATION_UNIT).clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    return torch.cat([near, torch.log1p(symbols.abs().clamp(max=LARGEST_SYMBOL))], 1)


def _activated(values: Tensor, rounded: Rounding) -> Tensor:
    return rounded(functional.relu(values)).clamp(max=LARGEST_ACTIVATION)
