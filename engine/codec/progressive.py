"""ProgressiveFrame: a frame as packets that can be sent in any order of worth.

The base, whole tiles at a coarse step, shows everything a little; refinements, small parts at a
finer step, are worth what they mend. What a packet is worth is measured, not guessed: the encoder
has the original, so it knows the squared error that each packet takes away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.codec.colour import PLANE_GAINS, to_luma
from engine.codec.conditional import STEP_MULTIPLE
from engine.codec.container import FileHeader, Packet
from engine.codec.decoding import decode
from engine.codec.encoding import Prepared, prepare, step_for
from engine.codec.model import CodecModel
from engine.codec.network import STRIDE
from engine.codec.policy import TILE
from engine.codec.refinement import SIDES, RefinedPart, refined_payload, refined_tile
from engine.codec.steps import STEPS
from engine.codec.transform import cells_of
from engine.codec.worth import Region
from engine.errors import NotApplicable
from engine.frame import Frame, Mask, Pixels

SIDE = 64
BASE_BPP, FULL_BPP = 0.05, 1.0
LEAST_TILE_BYTES = 64
LEAST_RATIO = 32
"""Layers are at least this many 32nds of ln q apart; nearer ones cost more."""


@dataclass(frozen=True)
class Piece:
    """A packet with its place and its worth.

    `saved` is the weighted squared error that it takes away, in units of the network's range
    (1/255 of the frame's), summed over its pixels; `plain_saved` the same without weights.
    `layer` is 0 for the base; a piece is of use when those of lower layers at its place arrived.
    """

    packet: Packet = field(repr=False)
    plane: int
    rows: slice
    columns: slice
    saved: float
    plain_saved: float
    layer: int

    @property
    def is_base(self) -> bool:
        return self.layer == 0

    @property
    def place(self) -> tuple[int, int, int]:
        """Plane, first row and first column."""
        return self.plane, self.rows.start, self.columns.start

    @property
    def content(self) -> bytes:
        return self.packet.to_bytes()


@dataclass(frozen=True)
class ProgressiveFrame:
    """A frame in pieces. `head` must arrive first; `tail` (a side list of hits) may come last.

    `pixels` counts samples. `full_error` is the squared error left when all arrived. `first` are
    the regions to bring whole before other refinements.
    """

    name: str
    head: bytes = field(repr=False)
    pieces: tuple[Piece, ...] = field(repr=False)
    tail: bytes = field(repr=False)
    pixels: int
    full_error: float
    first: tuple[Region, ...] = ()

    @property
    def whole(self) -> bytes:
        """The file with everything in it, base first."""
        return b"".join([self.head, *(piece.content for piece in self.pieces), self.tail])


def in_pieces(
    frame: Frame,
    model: CodecModel,
    *,
    value: Pixels | None = None,
    first: Sequence[Region] = (),
    base_bpp: float = BASE_BPP,
    full_bpp: float = FULL_BPP,
    side: int = SIDE,
    tile: int = TILE,
    hits: Mask | None = None,
    name: str = "",
) -> ProgressiveFrame:
    """Cut a frame into base and one or two layers of refinements, about `full_bpp` in all.

    `value` float32 (H, W), at least 0, weighs the error of each pixel (1 when None). The parts that
    a region of `first` touches always get two layers, so that little brings much of them early.
    Raises NotApplicable when sides are below 16 pixels, ValueError on a `side` that no packet can
    have.
    """
    if side not in SIDES or tile % side:
        raise ValueError(f"a refined part needs a side of {SIDES} that divides {tile}, got {side}")
    budgets = [int(bpp * frame.pixels.size / 8) for bpp in (base_bpp, full_bpp)]
    prepared = prepare(frame, budgets[1], model, tile, hits)
    head, tail = _split_tail(prepared)
    steps = _layer_steps(prepared, budgets, len(head))
    layers = [
        [
            _Part(
                Packet(number, steps[0], encoder.payload(steps[0])), *prepared.header.place(number)
            )
            for number, encoder in enumerate(prepared.tiles)
        ],
        *_refinements(prepared, steps, side, first),
    ]
    made = _weighed(frame, prepared, (head, tail), layers, value, name)
    return replace(made, first=tuple(first))


@dataclass(frozen=True)
class _Part:
    packet: Packet
    plane: int
    rows: slice
    columns: slice


def _split_tail(prepared: Prepared) -> tuple[bytes, bytes]:
    """The bytes needed first, and the side list of hits."""
    if not prepared.hits:
        return prepared.head, b""
    return prepared.head[: -len(prepared.hits)], prepared.hits


def _layer_steps(prepared: Prepared, budgets: Sequence[int], head: int) -> tuple[int, ...]:
    """Steps of the base and of the layers above it, multiples of 4 apart."""
    fine = min(step_for(prepared.tiles, budgets[1] - head), STEPS - 1 - LEAST_RATIO)
    least = len(prepared.tiles) * LEAST_TILE_BYTES
    base = step_for(prepared.tiles, max(budgets[0] - head, least))
    apart = max(LEAST_RATIO, base - fine) // STEP_MULTIPLE * STEP_MULTIPLE
    if apart < 2 * LEAST_RATIO:
        return fine + apart, fine
    return _halved((fine + apart, fine))


def _halved(steps: tuple[int, ...]) -> tuple[int, ...]:
    """Three steps: base, about the middle, finest."""
    coarse, fine = steps[0], steps[-1]
    return coarse, fine + (coarse - fine) // (2 * STEP_MULTIPLE) * STEP_MULTIPLE, fine


def _refinements(
    prepared: Prepared, steps: tuple[int, ...], side: int, first: Sequence[Region]
) -> list[list[_Part]]:
    """The parts of every layer above the base."""
    header, model = prepared.header, prepared.model
    layers: list[list[_Part]] = [[], []]
    for number, encoder in enumerate(prepared.tiles):
        plane, ys, xs = header.place(number)
        whole = encoder.coarse(steps[0])
        for rows, columns, index in _parts(header, plane, ys, xs, side):
            inside = cells_of(
                slice(rows.start - ys.start, rows.stop - ys.start),
                slice(columns.start - xs.start, columns.stop - xs.start),
                STRIDE,
            )
            coarse = whole.window(*inside)
            wanted = any(region.touches(rows, columns) for region in first)
            finer = _halved(steps)[1:] if wanted else steps[1:]
            for layer, step in zip(layers, finer, strict=False):
                payload = refined_payload(model, encoder.latents[:, *inside], coarse, step)
                part = RefinedPart(side, coarse.step, index)
                layer.append(_Part(Packet(part.number, step, payload), plane, rows, columns))
                if step != steps[-1]:
                    coarse = refined_tile(model, payload, coarse, step).coarse
    return [layer for layer in layers if layer]


def _parts(
    header: FileHeader, plane: int, ys: slice, xs: slice, side: int
) -> list[tuple[slice, slice, int]]:
    """The parts of a tile with their numbers in the grid of the plane."""
    across, down = -(-header.width // side), -(-header.height // side)
    parts = []
    for y in range(ys.start, ys.stop, side):
        for x in range(xs.start, xs.stop, side):
            index = plane * across * down + y // side * across + x // side
            rows = slice(y, min(y + side, ys.stop))
            parts.append((rows, slice(x, min(x + side, xs.stop)), index))
    return parts


def _weighed(
    frame: Frame,
    prepared: Prepared,
    ends: tuple[bytes, bytes],
    layers: list[list[_Part]],
    value: Pixels | None,
    name: str,
) -> ProgressiveFrame:
    """Decode layer by layer, and give every packet the error that it takes away."""
    head, tail = ends
    header = prepared.header
    target = _weighing(header, header.mapping.forward(_stack(prepared.coded.filled())))
    weight = np.ones(frame.mask.shape) if value is None else value.astype(np.float64)
    if weight.shape != frame.mask.shape or not (np.isfinite(weight).all() and weight.min() >= 0):
        raise ValueError(f"a value map needs shape {frame.mask.shape} and values of at least 0")
    flat = np.median(target, axis=(1, 2) if header.luma else None, keepdims=True)
    left = np.square((target - flat).astype(np.float64)) * ~frame.mask
    content, pieces, whole = head, [], float(left.sum())
    for layer, parts in enumerate(layers):
        content += b"".join(part.packet.to_bytes() for part in parts)
        before = left
        left, whole = _squared(content, target, frame, prepared)
        for part in parts:
            saved = (before - left)[part.plane, part.rows, part.columns]
            worth = float((saved * weight[part.rows, part.columns]).sum())
            pieces.append(
                Piece(
                    part.packet,
                    part.plane,
                    part.rows,
                    part.columns,
                    worth,
                    float(saved.sum()),
                    layer,
                )
            )
    return ProgressiveFrame(
        name or frame.origin.object_id,
        head,
        tuple(pieces),
        tail,
        frame.pixels.size,
        whole,
    )


def _squared(
    content: bytes, target: NDArray[np.float32], frame: Frame, prepared: Prepared
) -> tuple[NDArray[np.float64], float]:
    """Squared errors of the planes as they are coded, and their sum over the frame's planes."""
    decoded = decode(content, prepared.model)
    if decoded.planes is None:
        raise NotApplicable("only the learned codec has refinements")
    mapped = _weighing(prepared.header, np.clip(decoded.planes.mapped, -128.0, 127.0))
    error = (mapped - target).astype(np.float64) * ~frame.mask
    squared = np.square(error)
    whole = float(squared.sum())
    if prepared.header.luma:
        gains = np.sqrt(PLANE_GAINS)
        whole -= 2.0 * float((error[0] * error[2]).sum()) / float(gains[0] * gains[2])
    return squared, whole


def _weighing(header: FileHeader, mapped: NDArray[np.float32]) -> NDArray[np.float32]:
    """The planes as they are coded, so that each one's squared error is about its share of all.

    R, G and B together err by 3 Y^2 + 2 Co^2 + 3 Cg^2 - 2 Y Cg: the last term is no plane's own.
    """
    if not header.luma:
        return mapped
    gains = np.sqrt(np.array(PLANE_GAINS, np.float32))[:, None, None]
    return np.asarray(to_luma(mapped) * gains, np.float32)


def _stack(pixels: Pixels) -> Pixels:
    return pixels.reshape(-1, *pixels.shape[-2:])
