"""What to ask for again: the parts of a received frame that are uncertain and interesting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.codec.decoding import Decoded
from engine.codec.uncertainty import predicted_rmse
from engine.frame import Pixels

SIDE = 64


@dataclass(frozen=True)
class Request:
    """A part to send again. `worth` is its expected squared error times its value, summed over
    pixels (infinite where it is lost); `predicted_rmse` is in the frame's unit."""

    y0: int
    x0: int
    height: int
    width: int
    reason: Literal["lost", "coarse", "uncertain"]
    predicted_rmse: float | None
    worth: float


def requests_of(
    decoded: Decoded, value: Pixels | None = None, *, side: int = SIDE, limit: int = 100
) -> list[Request]:
    """The parts of a frame to ask for, most worth first.

    A lost part comes before all others; a part without refinement is "coarse", one with it
    "uncertain". `value` float32 (H, W) says where errors matter (1 when None). Raises
    NotApplicable for a file that the learned codec did not make.
    """
    expected = np.square(predicted_rmse(decoded), dtype=np.float64)
    height, width = decoded.valid.shape
    weight = np.ones((height, width)) if value is None else value.astype(np.float64)
    refined = np.zeros_like(decoded.valid) if decoded.refined is None else decoded.refined
    found = []
    for y0 in range(0, height, side):
        for x0 in range(0, width, side):
            area = slice(y0, min(y0 + side, height)), slice(x0, min(x0 + side, width))
            found.append(_request(area, expected, weight, refined))
    return sorted(found, key=lambda request: -request.worth)[:limit]


def _request(
    area: tuple[slice, slice],
    expected: np.ndarray,
    weight: np.ndarray,
    refined: np.ndarray,
) -> Request:
    rows, columns = area
    squared = expected[area]
    place = rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start
    if np.isnan(squared).any():
        return Request(*place, "lost", None, float("inf"))
    return Request(
        *place,
        "uncertain" if refined[area].all() else "coarse",
        float(np.sqrt(squared.mean())),
        float((squared * weight[area]).sum()),
    )
