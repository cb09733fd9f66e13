"""What a pass brings: tiles in an order, and what has arrived after any byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tile = Mapping[str, Any]
ORDERS = {"priority": "by worth", "raster": "raster order"}


@dataclass(frozen=True)
class Arrival:
    """Totals after a number of whole tiles: `value` is the sum of pixels x science value."""

    order: str
    bytes: int
    tiles: int
    frames: int
    value: float
    anomalies: int


def in_order(tiles: Sequence[Tile], order: str) -> list[Tile]:
    """Tiles as they are sent: by falling value of their pixels per byte, or as they come."""
    return sorted(tiles, key=_worth, reverse=True) if order == "priority" else list(tiles)


def arrivals(tiles: Sequence[Tile], order: str) -> list[Arrival]:
    """The totals after each tile of an order, from nothing to all."""
    totals = [Arrival(ORDERS[order], 0, 0, 0, 0.0, 0)]
    begun: set[str] = set()
    for tile in in_order(tiles, order):
        begun.add(tile["frame_digest"])
        last = totals[-1]
        totals.append(
            Arrival(
                last.order,
                last.bytes + tile["bytes"],
                last.tiles + 1,
                len(begun),
                last.value + _value(tile),
                last.anomalies + tile["anomalies"],
            )
        )
    return totals


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
            "anomaly_share": row.anomalies / all_of.anomalies if all_of.anomalies else None,
        }
        for row in kept
    ]


def _value(tile: Tile) -> float:
    return float(tile["height"] * tile["width"] * tile["value"])


def _worth(tile: Tile) -> float:
    return _value(tile) / max(float(tile["bytes"]), 1.0)
