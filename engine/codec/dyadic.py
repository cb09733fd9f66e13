"""Exact layers: whole counts of 2^-10 through weights that are multiples of 2^-14, in float64.

Every product and sum is a dyadic rational of fewer than 53 bits, exact in any order, so that every
machine finds the same counts whatever multiplies its matrices. Cells are rows of matrices here:
the processor's own matrix products take a fraction of the time of its float64 convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from engine.codec.context import LARGEST_ACTIVATION, cells_in

ACTIVATION_BITS, WEIGHT_BITS = 10, 14
UNIT = float(1 << ACTIVATION_BITS)
"""Counts in one."""
LARGEST_WEIGHT = 16.0
_ROWS_TOGETHER = 512


@dataclass(frozen=True)
class ExactLayer:
    """`weight` (inputs, outputs) and `bias` (outputs,) between counts.

    The bias holds the half that makes of the next floor a rounding.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> ExactLayer:
        """The layer of a dyadic kernel (outputs, inputs, rows, columns) and its bias.

        The inputs of a row are those of the kernel's cells, one after the other.
        """
        by_output = weight.permute(0, 2, 3, 1).reshape(len(weight), -1).contiguous()
        return cls(by_output.T, bias * UNIT + 0.5)

    def sums(self, rows: Tensor) -> Tensor:
        """Sums (N, outputs) over `rows` (N, inputs), not rounded yet."""
        return torch.addmm(self.bias, rows, self.weight)

    def rounded(self, rows: Tensor) -> Tensor:
        """Counts (N, outputs) of `rows` (N, inputs)."""
        return self.sums(rows).floor_()


def settled(sums: Tensor) -> Tensor:
    """Activations from sums that hold the half of a rounding; in place."""
    return sums.floor_().clamp_(0.0, LARGEST_ACTIVATION * UNIT)


def dyadic(values: Tensor, bits: int, limit: float = LARGEST_WEIGHT) -> Tensor:
    """`values` within `limit` as multiples of 2^-bits, float64."""
    near = values.detach().double().clamp(-limit, limit)
    return torch.floor(near * 2.0**bits + 0.5) * 2.0**-bits


def sums_around(seen: Tensor, here: Tensor, weight: Tensor) -> Tensor:
    """Sums (B n, outputs) over the 3 x 3 cells around each of `here`, weighed by (9 c, outputs).

    `seen` is (B, h, w, c); beyond the tile lie zeros. Few tiles at once: their patches stay in the
    cache.
    """
    tiles, rows, columns, width = seen.shape
    wide = seen.new_zeros((tiles, rows + 2, columns + 2, width))
    wide[:, 1:-1, 1:-1] = seen
    corner = here // columns * (columns + 2) + here % columns
    places = (corner[:, None] + _offsets(columns + 2)).view(-1)
    sums = seen.new_empty((tiles, here.numel(), weight.shape[1]))
    together = max(1, _ROWS_TOGETHER // max(1, here.numel()))
    parts = (torch.split(each, together) for each in (wide.flatten(1, 2), sums))
    for some, found in zip(*parts, strict=True):
        patches = some.index_select(1, places).view(-1, 9 * width)
        torch.mm(patches, weight, out=found.flatten(0, 1))
    return sums.flatten(0, 1)


@cache
def _offsets(stride: int) -> Tensor:
    return torch.tensor([y * stride + x for y in range(3) for x in range(3)])


@cache
def cells_of_class(name: str, rows: int, columns: int) -> Tensor:
    """Numbers of the cells of a class, in raster order."""
    return torch.from_numpy(np.flatnonzero(cells_in(name, rows, columns)))
