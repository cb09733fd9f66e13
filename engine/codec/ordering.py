"""In which order refinements go: odd cutouts whole and first, the rest by what a byte mends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.codec.progressive import Piece, ProgressiveFrame
from engine.codec.worth import Region

Entry = tuple[int, Piece]
"""The number of a frame, and one of its pieces."""
Cost = Callable[[Piece], int]
"""Bytes of a piece on the link."""


def by_density(entries: Sequence[Entry], cost: Cost) -> list[Entry]:
    """Falling density; a finer layer counts for no more than the coarser ones of its place."""
    least: dict[tuple[int, int, int, int], float] = {}
    keyed = []
    for entry in sorted(entries, key=lambda entry: entry[1].layer):
        place = (entry[0], *entry[1].place)
        least[place] = min(density(entry, cost), least.get(place, float("inf")))
        keyed.append((-least[place], entry[1].layer, entry))
    keyed.sort(key=lambda item: item[:2])
    return [entry for *_, entry in keyed]


def density(entry: Entry, cost: Cost) -> float:
    """Weighted squared error that a byte takes away."""
    return entry[1].saved / cost(entry[1])


def wholes_first(
    frames: Sequence[ProgressiveFrame], entries: Sequence[Entry], cost: Cost
) -> list[Entry]:
    """Bring forward the first layer of every frame's `first` regions, the rest as it was.

    All parts that a region touches go together: half a cutout cannot be judged. In a frame the
    next region is the one with the largest value per byte that is still to be sent for it, and
    frames are merged by that figure, a region counting for no more than those before it.
    """
    ranked = []
    for number, frame in enumerate(frames):
        for place, (worth, parts) in enumerate(_in_turn(frame, cost)):
            ranked.append((-worth, number, place, parts))
    ranked.sort(key=lambda item: item[:3])
    forward = [(number, piece) for _, number, _, parts in ranked for piece in parts]
    already = {id(piece) for _, piece in forward}
    return [*forward, *(entry for entry in entries if id(entry[1]) not in already)]


def _in_turn(frame: ProgressiveFrame, cost: Cost) -> Iterable[tuple[float, list[Piece]]]:
    """The regions of a frame in turn: the least value per byte so far, and the parts to add."""
    parts = {n: piece for n, piece in enumerate(frame.pieces) if piece.layer == 1}
    costs = {n: cost(piece) for n, piece in parts.items()}
    waiting = [
        (region.value, {n for n, piece in parts.items() if _touches(region, piece)})
        for region in frame.first
    ]
    least = float("inf")
    while waiting := [(value, wanted) for value, wanted in waiting if wanted]:
        best = max(waiting, key=lambda one: one[0] / sum(costs[n] for n in one[1]))
        value, wanted = best
        least = min(least, value / sum(costs[n] for n in wanted))
        yield least, [parts[n] for n in sorted(wanted)]
        waiting = [(value, others - wanted) for value, others in waiting]


def _touches(region: Region, piece: Piece) -> bool:
    return region.touches(piece.rows, piece.columns)
