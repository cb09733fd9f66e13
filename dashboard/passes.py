"""What a pass brings: tiles in an order, and what has arrived after any byte."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tile = Mapping[str, Any]
ORDERS = {"priority": "by worth", "raster": "raster order"}


@dataclass(frozen=True)
class Arrival:
    """Totals after a number of whole tiles: `value` is the sum of pixels x science value.

    `psnr_db` is the mean over all frames, against each frame's peak, with its median where tiles
    are missing; None where a run did not keep what that takes.
    """

    order: str
    bytes: int
    tiles: int
    frames: int
    value: float
    anomalies: int
    psnr_db: float | None = None


def in_order(tiles: Sequence[Tile], order: str) -> list[Tile]:
    """Tiles as they are sent: by falling value of their pixels per byte, or as they come."""
    return sorted(tiles, key=_worth, reverse=True) if order == "priority" else list(tiles)


def arrivals(tiles: Sequence[Tile], order: str) -> list[Arrival]:
    """The totals after each tile of an order, from nothing to all."""
    quality = _Quality(tiles)
    totals = [Arrival(ORDERS[order], 0, 0, 0, 0.0, 0, quality.mean)]
    begun: set[str] = set()
    for tile in in_order(tiles, order):
        begun.add(tile["frame_digest"])
        quality.add(tile)
        last = totals[-1]
        totals.append(
            Arrival(
                last.order,
                last.bytes + tile["bytes"],
                last.tiles + 1,
                len(begun),
                last.value + _value(tile),
                last.anomalies + tile["anomalies"],
                quality.mean,
            )
        )
    return totals


class _Quality:
    """The mean PSNR over frames while their tiles arrive."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        self.known = all(tile.get("flat_rmse") is not None for tile in tiles)
        self._left: dict[str, float] = {}
        self._whole: dict[str, float] = {}
        for tile in tiles if self.known else ():
            frame, pixels = tile["frame_digest"], tile["height"] * tile["width"]
            self._left[frame] = self._left.get(frame, 0.0) + pixels * tile["flat_rmse"] ** 2
            self._whole[frame] = self._whole.get(frame, 0.0) + pixels * tile["peak"] ** 2
        self._total = sum(self._psnr(frame) for frame in self._left)

    @property
    def mean(self) -> float | None:
        return self._total / len(self._left) if self._left else None

    def add(self, tile: Tile) -> None:
        if not self.known:
            return
        frame, pixels = tile["frame_digest"], tile["height"] * tile["width"]
        self._total -= self._psnr(frame)
        self._left[frame] -= pixels * (tile["flat_rmse"] ** 2 - tile["rmse"] ** 2)
        self._total += self._psnr(frame)

    def _psnr(self, frame: str) -> float:
        share = max(self._left[frame] / max(self._whole[frame], 1e-30), 1e-10)
        return -10.0 * math.log10(share)


def within(totals: Sequence[Arrival], budget: int) -> Arrival:
    """The last totals that a budget of bytes holds."""
    return [row for row in totals if row.bytes <= budget][-1]


def curve(totals: Sequence[Arrival], points: int = 200) -> list[dict[str, Any]]:
    """Shares for a chart, thinned to about `points` rows; anomalies None where there are none."""
    all_of = totals[-1]
    step = max(1, len(totals) // points)
    kept = [*totals[::step], all_of]
    return [
        {
            "order": row.order,
            "bytes_share": row.bytes / max(all_of.bytes, 1),
            "value_share": row.value / max(all_of.value, 1e-30),
            "psnr_db": row.psnr_db,
            "anomaly_share": row.anomalies / all_of.anomalies if all_of.anomalies else None,
        }
        for row in kept
    ]


def _value(tile: Tile) -> float:
    return float(tile["height"] * tile["width"] * tile["value"])


def _worth(tile: Tile) -> float:
    return _value(tile) / max(float(tile["bytes"]), 1.0)
