"""Science value: how much an error matters, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.frame import Pixels
from engine.results import AnomalyResult, Verdict

LARGEST_VALUE = 1000.0
ODD_P = 0.15
"""Cutouts with a p-value up to this are worth sending whole."""


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame whose errors count `value` times as much as those elsewhere."""

    y0: int
    x0: int
    height: int
    width: int
    value: float

    def __post_init__(self) -> None:
        if not (self.height > 0 and self.width > 0 and 0 <= self.value < float("inf")):
            raise ValueError(
                f"a region needs sides above 0 and a finite value of at least 0: {self}"
            )

    def touches(self, rows: slice, columns: slice) -> bool:
        """Whether some pixel of `rows` and `columns` lies in the region."""
        across = self.y0 < rows.stop and rows.start < self.y0 + self.height
        along = self.x0 < columns.stop and columns.start < self.x0 + self.width
        return bool(across and along)


def value_map(
    shape: tuple[int, int], regions: Sequence[Region] = (), background: float = 1.0
) -> Pixels:
    """Value of each pixel, float32 of `shape`: the largest of its regions, else `background`."""
    value = np.full(shape, background, np.float32)
    for region in regions:
        rows = slice(max(region.y0, 0), max(region.y0 + region.height, 0))
        columns = slice(max(region.x0, 0), max(region.x0 + region.width, 0))
        value[rows, columns] = np.maximum(value[rows, columns], np.float32(region.value))
    return value


def anomalous_regions(
    result: AnomalyResult, least_p: float = 1.0 / LARGEST_VALUE, most_p: float = 1.0
) -> tuple[Region, ...]:
    """The cutouts of a frame's detections, each worth 1 / p of its anomaly p-value.

    The value is how many ordinary detections pass before one looks as odd. Left out are artefacts,
    detections without a p-value (outside the domain of the reference) and those above `most_p`.
    """
    regions = []
    for found in result.detections:
        if found.p_value is None or found.p_value > most_p or found.verdict is Verdict.ARTEFACT:
            continue
        y0, x0 = round(found.y) - found.size_px // 2, round(found.x) - found.size_px // 2
        value = 1.0 / max(found.p_value, least_p)
        regions.append(Region(y0, x0, found.size_px, found.size_px, value))
    return tuple(regions)
