"""Frames too large for memory: coded and decoded by rows of tiles, read and written as they go.

Only one row of tiles and what surrounds it is held at a time. Rate control looks at a sample of the
tiles first, then keeps to the budget as it goes along: it costs less than one more encoder pass.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.codec.container import (
    PACKET_OVERHEAD,
    SAMPLE_TYPES,
    FileHeader,
    Mode,
    Packet,
    read_header,
    read_packets,
)
from engine.codec.decoding import (
    PAYLOAD_BYTES_PER_PIXEL,
    Refinement,
    decoded_tiles,
    refined_parts,
    refinements_by_tile,
    sample_values,
)
from engine.codec.encoding import SMALLEST_SIDE, step_for
from engine.codec.fits_cards import cards_that_fit
from engine.codec.learned import TileEncoder, code_tiles
from engine.codec.mapping import SampleMapping
from engine.codec.model import CodecModel
from engine.codec.network import HYPER_STRIDE, STRIDE
from engine.codec.policy import TILE
from engine.codec.steps import STEPS, log_q
from engine.codec.transform import HALO, analyse, cells_of, synthesise
from engine.errors import BitstreamError, NotApplicable
from engine.frame import Pixels

MOST_PIXELS = 1 << 30
MARGIN = 4 * HYPER_STRIDE
"""Pixels seen beyond a row of tiles: more than analysis and hyper-analysis reach together."""
SAMPLED_ROWS, SAMPLED_TILES = 5, 3
LEAST_TILE_BYTES = PACKET_OVERHEAD + 80
KEPT_SHARE = 0.5
"""What every tile to come is sure of, in shares of the mean bytes of a tile."""
DRIFT = 0.02
TEXT_SHARE = 1 / 8


class Rows(Protocol):
    """A two-dimensional image that is read in parts, such as a memory map."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[np.generic]: ...
    def __getitem__(self, rows: slice, /) -> NDArray[np.generic]: ...


@dataclass(frozen=True)
class LargeSummary:
    """What decoding a large file met."""

    header: FileHeader = field(repr=False)
    bytes: int
    lost_tiles: tuple[int, ...]


def encode_large(
    image: Rows,
    budget: int,
    model: CodecModel,
    write: Callable[[bytes], object],
    *,
    unit: str = "",
    cards: str = "",
    tile: int = TILE,
) -> int:
    """Code `image` (H, W) into at most `budget` bytes, handing over each part; return the bytes.

    The file is an ordinary .cosmic file. Raises NotApplicable when a side is below 16 pixels, a
    sample is not finite, the type is unknown or the budget is too small.
    """
    height, width = image.shape
    sample_type = image.dtype.name
    if min(height, width) < SMALLEST_SIDE or sample_type not in SAMPLE_TYPES:
        raise NotApplicable(
            f"a large image needs sides of at least {SMALLEST_SIDE} and known samples, got "
            f"{height} x {width} of {sample_type}"
        )
    kept, fewer = cards_that_fit(cards, unit, int(budget * TEXT_SHARE))
    header = FileHeader(
        Mode.LEARNED,
        sample_type,
        height,
        width,
        0,
        tile,
        model=model.identity,
        mapping=_mapping(image, sample_type),
        unit=unit,
        cards=kept,
        essential_cards=fewer,
    )
    head = header.to_bytes()
    write(head)
    return len(head) + _write_tiles(image, header, budget - len(head), model, write)


def decode_large(
    path: Path,
    model: CodecModel,
    begin: Callable[[FileHeader], object],
    write: Callable[[int, Pixels], object],
    *,
    max_pixels: int = MOST_PIXELS,
) -> LargeSummary:
    """Decode a single-plane learned file by rows of tiles.

    `begin` gets the header, `write` the first row and the samples (rows, W) of each part in turn;
    lost tiles hold what their neighbours leave there, and are listed. Raises BitstreamError as
    `decode` does, NotApplicable for several planes, masks and other modes.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header, start = read_header(data[: 1 << 20], max_pixels)
        _check_readable(header, model)
        begin(header)
        limit = PAYLOAD_BYTES_PER_PIXEL * header.tile**2 + 4096
        packets: dict[int, Packet] = {}
        for packet in read_packets(data, start, limit):
            packets.setdefault(packet.number, packet)
        size = len(data)
    lost = [number for number in range(header.tiles) if number not in packets]
    if len(lost) == header.tiles:
        raise BitstreamError("no tile of this file is intact: ask for it to be sent again")
    finer = refinements_by_tile(header, packets.values())
    slabs = (_slab(header, row, packets, finer, model, lost) for row in range(header.tile_rows))
    for row, (latents, step) in enumerate(_with_neighbours(slabs)):
        above = min(HALO, row * header.tile // STRIDE)
        y0 = row * header.tile
        y1 = min(y0 + header.tile, header.height)
        shape = (latents.shape[1] * STRIDE, header.width)
        plane = synthesise(model, latents, step, shape)[above * STRIDE :][: y1 - y0]
        write(y0, sample_values(header, plane[None])[0])
    return LargeSummary(header, size, tuple(sorted(set(lost))))


def _mapping(image: Rows, sample_type: str) -> SampleMapping:
    """The mapping of a sample of rows, with the exact smallest and largest sample among them."""
    height = image.shape[0]
    every = max(1, height // 64)
    sampled, ends = [], []
    for first in range(0, height, TILE):
        rows = np.asarray(image[first : first + TILE], np.float32)
        smallest, largest = float(rows.min()), float(rows.max())
        if not np.isfinite([smallest, largest]).all():
            raise NotApplicable("a large image must hold finite samples: fill the bad pixels first")
        ends += [smallest, largest]
        sampled.append(rows[-first % every :: every, ::7].ravel())
    return SampleMapping.of(np.concatenate([*sampled, np.array(ends, np.float32)]), sample_type)


def _write_tiles(
    image: Rows,
    header: FileHeader,
    available: int,
    model: CodecModel,
    write: Callable[[bytes], object],
) -> int:
    step = _first_step(image, header, available, model)
    least = max(LEAST_TILE_BYTES, int(KEPT_SHARE * available / header.tiles))
    spent, done = 0, 0
    for row in range(header.tile_rows):
        tiles = _tile_row(image, header, row, model)
        rest = header.tiles - done - len(tiles)
        allowed = available - spent - rest * least
        code_tiles(tiles, step)
        for number, encoder in enumerate(tiles, start=done):
            wait = (len(tiles) - (number - done) - 1) * least
            packet = _fitting(number, encoder, step, allowed - wait, available)
            write(packet)
            allowed -= len(packet)
            spent += len(packet)
        done += len(tiles)
        planned = available * done / header.tiles
        if spent > (1 + DRIFT) * planned or spent < (1 - DRIFT) * planned:
            step = min(max(step + (1 if spent > planned else -1), 0), STEPS - 1)
    return spent


def _fitting(number: int, encoder: TileEncoder, step: int, allowed: int, budget: int) -> bytes:
    """The packet at `step`, or at the finest coarser step that is small enough."""
    packet = Packet(number, step, encoder.payload(step)).to_bytes()
    while len(packet) > allowed:
        if step == STEPS - 1:
            raise NotApplicable(f"{budget} bytes do not hold this image at the coarsest step")
        step = max(step + 1, step_for([encoder], allowed))
        packet = Packet(number, step, encoder.payload(step)).to_bytes()
    return packet


def _first_step(image: Rows, header: FileHeader, available: int, model: CodecModel) -> int:
    """The step at which a sample of tiles takes its share of the bytes."""
    rows = np.unique(np.linspace(0, header.tile_rows - 1, SAMPLED_ROWS).astype(int))
    sampled = [
        encoder
        for row in rows
        for encoder in _tile_row(image, header, int(row), model)[
            row % SAMPLED_TILES :: SAMPLED_TILES
        ]
    ]
    return step_for(sampled, int(available * len(sampled) / header.tiles))


def _tile_row(image: Rows, header: FileHeader, row: int, model: CodecModel) -> list[TileEncoder]:
    """The encoders of one row of tiles."""
    y0 = row * header.tile
    y1 = min(y0 + header.tile, header.height)
    first, last = max(0, y0 - MARGIN), min(header.height, y1 + MARGIN)
    seen = header.mapping.forward(np.asarray(image[first:last], np.float32))
    latents, hyper = analyse(model, seen)
    encoders = []
    for column in range(header.tile_columns):
        xs = slice(column * header.tile, min((column + 1) * header.tile, header.width))
        ys = slice(y0 - first, y1 - first)
        encoders.append(
            TileEncoder(
                model,
                latents[:, *cells_of(ys, xs, STRIDE)].copy(),
                hyper[:, *cells_of(ys, xs, HYPER_STRIDE)].copy(),
            )
        )
    return encoders


def _slab(
    header: FileHeader,
    row: int,
    packets: dict[int, Packet],
    finer: dict[int, list[Refinement]],
    model: CodecModel,
    lost: list[int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Latents (C, h, w) and ln q (h, w) of one row of tiles."""
    first = row * header.tile // STRIDE
    rows = -(-min(header.tile, header.height - row * header.tile) // STRIDE)
    columns = -(-header.width // STRIDE)
    latents = np.zeros((model.network.widths.latent, rows, columns), np.float32)
    step = np.full((rows, columns), 2.5, np.float32)
    numbers = range(row * header.tile_columns, (row + 1) * header.tile_columns)
    arrived = decoded_tiles(header, packets, model, numbers)
    for number in numbers:
        _, ys, xs = header.place(number)
        cells = cells_of(ys, xs, STRIDE)
        if number not in arrived:
            lost.append(number)
            continue
        packet, tile = packets[number], arrived[number]
        inside = slice(cells[0].start - first, cells[0].stop - first), cells[1]
        latents[:, *inside], step[inside] = tile.latents, log_q(packet.step)
        for part, place, refined in refined_parts(model, finer.get(number, []), tile, cells):
            inside = slice(place[0].start - first, place[0].stop - first), place[1]
            latents[:, *inside], step[inside] = refined.latents, log_q(part.packet.step)
    return latents, step


Slab = tuple[NDArray[np.float32], NDArray[np.float32]]


def _with_neighbours(slabs: Iterator[Slab]) -> Iterator[Slab]:
    """Each slab with up to four rows of cells of the one above and the one below."""
    above: Slab | None = None
    here = next(slabs)
    for below in slabs:
        yield _joined(above, here, below)
        above, here = here, below
    yield _joined(above, here, None)


def _joined(above: Slab | None, here: Slab, below: Slab | None) -> Slab:
    latents, steps = [here[0]], [here[1]]
    if above is not None:
        latents.insert(0, above[0][:, -HALO:])
        steps.insert(0, above[1][-HALO:])
    if below is not None:
        latents.append(below[0][:, :HALO])
        steps.append(below[1][:HALO])
    return np.concatenate(latents, axis=1), np.concatenate(steps, axis=0)


def _check_readable(header: FileHeader, model: CodecModel) -> None:
    if header.mode is not Mode.LEARNED or header.coded_planes > 1 or header.masked or header.hits:
        raise NotApplicable(
            "only single-plane learned files without masks are decoded by rows: leave out --stream"
        )
    if header.model != model.identity:
        raise BitstreamError(
            f"the file was coded with model {header.model.hex()}, given {model.identity.hex()}: "
            "decode with the weights it was coded with"
        )
