"""decode: a .cosmic bitstream, damaged or whole, back to pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.codec.colour import from_luma, squared_errors
from engine.codec.container import (
    HITS_PACKET,
    MASK_PACKET,
    MAX_PIXELS,
    PACKET_OVERHEAD,
    FileHeader,
    Mode,
    Packet,
    inflate,
    read_header,
    read_packets,
)
from engine.codec.exact import exact_tile
from engine.codec.hits import with_hits
from engine.codec.learned import CoarseSymbols, DecodedTile, TilePayload, decode_tiles
from engine.codec.model import CodecModel
from engine.codec.network import STRIDE
from engine.codec.refinement import refined_part, refined_tile
from engine.codec.steps import log_q
from engine.codec.transform import HALO, cells_of, latent_shape, synthesise
from engine.errors import BitstreamError
from engine.frame import Frame, Mask, Origin, Pixels

REACH = HALO * STRIDE
"""Pixels beyond a lost tile that the synthesis may have drawn from it."""
PAYLOAD_BYTES_PER_PIXEL = 12

Cells = tuple[slice, slice]


@dataclass(frozen=True)
class LatentPlanes:
    """What the learned decoder knows of each plane beyond its pixels.

    `latents` float32 (P, C, h, w); `log_q` float32 (P, h, w); `expected_squared_error` float32
    (P, h, w), in the network's range; `mapped` float32 (P, H, W), the planes in that range.
    """

    model: CodecModel
    latents: NDArray[np.float32]
    log_q: NDArray[np.float32]
    expected_squared_error: NDArray[np.float32]
    mapped: NDArray[np.float32]


@dataclass(frozen=True)
class Refinement:
    """A refinement packet with the rows and columns that it makes finer, from step `coarse`."""

    packet: Packet
    coarse: int
    rows: slice
    columns: slice


@dataclass(frozen=True)
class Decoded:
    """A decoded frame.

    `pixels` float32 (H, W) or (C, H, W) in the frame's unit. `valid` bool (H, W) is False where a
    lost tile may have changed a pixel. `bad` bool (H, W) is the frame's own mask. `lost_tiles` are
    the numbers of missing or damaged tiles, `tile_bytes` the sizes of the packets that arrived.
    `mask_lost` says that the frame had bad pixels, but their mask did not arrive. `refined` bool
    (H, W) is True where a refinement of at least one plane arrived, `hits` where a side list put
    original samples back; None where there is no such thing.
    """

    pixels: Pixels = field(repr=False)
    valid: Mask = field(repr=False)
    bad: Mask = field(repr=False)
    header: FileHeader = field(repr=False)
    lost_tiles: tuple[int, ...]
    tile_bytes: Mapping[int, int] = field(repr=False)
    mask_lost: bool = False
    planes: LatentPlanes | None = field(repr=False, default=None)
    refined: Mask | None = field(repr=False, default=None)
    hits: Mask | None = field(repr=False, default=None)

    @property
    def sample_type(self) -> str:
        """The numpy name of the samples that were coded."""
        return self.header.sample_type

    @property
    def hits_lost(self) -> bool:
        """Whether the frame had a side list of hits that did not arrive."""
        return self.header.hits and self.hits is None

    @property
    def unit(self) -> str:
        return self.header.unit

    @property
    def cards(self) -> str:
        """The FITS cards that travelled with the frame, 80 characters each."""
        return self.header.cards

    def samples(self) -> NDArray[np.generic]:
        """The pixels in their sample type (float32 for float64, as frames hold them)."""
        if self.sample_type.startswith("float"):
            return self.pixels
        return self.pixels.astype(self.sample_type)

    def frame(self, origin: Origin) -> Frame:
        """The decoded image as a frame; invalid pixels are masked."""
        return Frame.of(
            self.pixels,
            origin,
            mask=self.bad | ~self.valid,
            unit=self.unit,
            sample_type=self.sample_type,
            header=self.cards,
        )


def decode(
    data: bytes, model: CodecModel | None = None, *, max_pixels: int = MAX_PIXELS
) -> Decoded:
    """Decode a bitstream; tiles that are missing or damaged are reported, not fatal.

    `model` must be the one that the file names, unless the file is lossless or near-lossless.
    Raises BitstreamError when the header is damaged, declares more than `max_pixels` samples or
    another model, or no tile is intact.
    """
    header, start = read_header(data, max_pixels)
    limit = PAYLOAD_BYTES_PER_PIXEL * header.tile**2 + header.height * header.width // 4 + 4096
    packets: dict[int, Packet] = {}
    for packet in read_packets(data, start, limit):
        known = packet.number in (MASK_PACKET, HITS_PACKET) or packet.number < header.tiles
        if known or refined_part(packet.number) is not None:
            packets.setdefault(packet.number, packet)
    bad = _bad_pixels(packets.pop(MASK_PACKET, None), header)
    hits = packets.pop(HITS_PACKET, None)
    if not packets:
        raise BitstreamError("no tile of this file is intact: ask for it to be sent again")
    if header.mode is not Mode.LEARNED:
        return _decode_exact(header, packets, bad)
    decoded = _decode_learned(header, packets, bad, _named_model(header, model))
    if hits is None:
        return decoded
    try:
        return with_hits(decoded, hits)
    except BitstreamError:
        return decoded


def _named_model(header: FileHeader, model: CodecModel | None) -> CodecModel:
    if model is None or model.identity != header.model:
        given = "none" if model is None else model.identity.hex()
        raise BitstreamError(
            f"the file was coded with model {header.model.hex()}, given {given}: "
            "decode with the weights it was coded with"
        )
    return model


def _bad_pixels(packet: Packet | None, header: FileHeader) -> Mask | None:
    """The mask of the file, None when it should be there and is not."""
    shape = header.height, header.width
    if not header.masked:
        return np.zeros(shape, np.bool_)
    if packet is None:
        return None
    packed = -(-header.height * header.width // 8)
    plain = inflate(packet.payload, packed)
    if len(plain) != packed:
        raise BitstreamError(f"the mask holds {len(plain)} bytes where {packed} are due")
    bits = np.unpackbits(np.frombuffer(plain, np.uint8), count=header.height * header.width)
    return bits.astype(np.bool_).reshape(shape)


def _decode_exact(header: FileHeader, packets: dict[int, Packet], bad: Mask | None) -> Decoded:
    pixels = np.zeros((header.coded_planes, header.height, header.width), np.float32)
    valid = np.ones(pixels.shape[1:], np.bool_)
    sizes: dict[int, int] = {}
    for number in range(header.tiles):
        plane, rows, columns = header.place(number)
        shape = rows.stop - rows.start, columns.stop - columns.start
        try:
            packet = _arrived(packets, number)
            pixels[plane, rows, columns] = exact_tile(packet.payload, header, shape)
        except BitstreamError:
            valid[rows, columns] = False
            continue
        sizes[number] = PACKET_OVERHEAD + len(packet.payload)
    return _assembled(header, pixels, valid, bad, sizes, None)


def _decode_learned(
    header: FileHeader, packets: dict[int, Packet], bad: Mask | None, model: CodecModel
) -> Decoded:
    rows, columns = latent_shape(header.height, header.width)
    count = header.coded_planes
    latents = np.zeros((count, model.network.widths.latent, rows, columns), np.float32)
    step = np.full((count, rows, columns), 2.5, np.float32)
    squared = np.full((count, rows, columns), np.nan, np.float32)
    valid = np.ones((header.height, header.width), np.bool_)
    finer = np.zeros_like(valid)
    refinements = refinements_by_tile(header, packets.values())
    sizes: dict[int, int] = {}
    arrived = decoded_tiles(header, packets, model, range(header.tiles))
    for number in range(header.tiles):
        plane, ys, xs = header.place(number)
        cells = cells_of(ys, xs, STRIDE)
        if number not in arrived:
            valid[_widened(ys), _widened(xs)] = False
            continue
        packet, tile = packets[number], arrived[number]
        latents[plane, :, *cells] = tile.latents
        step[plane, *cells] = log_q(packet.step)
        squared[plane, *cells] = tile.expected_squared_error
        sizes[number] = PACKET_OVERHEAD + len(packet.payload)
        for part, inside, refined in refined_parts(model, refinements[number], tile, cells):
            latents[plane, :, *inside] = refined.latents
            step[plane, *inside] = log_q(part.packet.step)
            squared[plane, *inside] = refined.expected_squared_error
            finer[part.rows, part.columns] = True
    shape = header.height, header.width
    mapped = np.stack([synthesise(model, latents[p], step[p], shape) for p in range(count)])
    if header.luma:
        mapped, squared = from_luma(mapped), squared_errors(squared)
    pixels = sample_values(header, mapped)
    planes = LatentPlanes(model, latents, step, squared, mapped)
    return replace(_assembled(header, pixels, valid, bad, sizes, planes), refined=finer)


def decoded_tiles(
    header: FileHeader, packets: Mapping[int, Packet], model: CodecModel, numbers: Iterable[int]
) -> dict[int, DecodedTile]:
    """The tiles of these numbers that arrived and decode."""
    present = [number for number in numbers if number in packets]
    payloads = []
    for number in present:
        _, ys, xs = header.place(number)
        rows, columns = cells_of(ys, xs, STRIDE)
        shape = rows.stop - rows.start, columns.stop - columns.start
        payloads.append(TilePayload(packets[number].payload, packets[number].step, shape))
    tiles = decode_tiles(model, payloads)
    return {
        number: tile
        for number, tile in zip(present, tiles, strict=True)
        if isinstance(tile, DecodedTile)
    }


def refinements_by_tile(
    header: FileHeader, packets: Sequence[Packet] | ValuesView[Packet]
) -> dict[int, list[Refinement]]:
    """Refinement packets by the tile that they need, finest step last."""
    found: dict[int, list[Refinement]] = defaultdict(list)
    for packet in sorted(packets, key=lambda packet: -packet.step):
        named = refined_part(packet.number)
        if named is None or header.tile % named.side:
            continue
        grid = replace(header, tile=named.side)
        if named.index < grid.tiles:
            plane, rows, columns = grid.place(named.index)
            row, column = rows.start // header.tile, columns.start // header.tile
            tile = (plane * header.tile_rows + row) * header.tile_columns + column
            found[tile].append(Refinement(packet, named.coarse, rows, columns))
    return found


def refined_parts(
    model: CodecModel, parts: Sequence[Refinement], tile: DecodedTile, cells: Cells
) -> Iterator[tuple[Refinement, Cells, DecodedTile]]:
    """Decode the refinements of a tile that lies in `cells`, each with its own cells.

    One whose coarser layer is missing, or whose payload is none, is passed over.
    """
    known: dict[tuple[int, int, int, int, int], CoarseSymbols] = {}
    for part in parts:
        inside = cells_of(part.rows, part.columns, STRIDE)
        rows, columns = (
            slice(span.start - whole.start, span.stop - whole.start)
            for span, whole in zip(inside, cells, strict=True)
        )
        place = (rows.start, rows.stop, columns.start, columns.stop)
        coarse = known.get((*place, part.coarse))
        if coarse is None and part.coarse == tile.coarse.step:
            coarse = tile.coarse.window(rows, columns)
        if coarse is None:
            continue
        try:
            refined = refined_tile(model, part.packet.payload, coarse, part.packet.step)
        except BitstreamError:
            continue
        known[*place, part.packet.step] = refined.coarse
        yield part, inside, refined


def sample_values(header: FileHeader, mapped: NDArray[np.float32]) -> Pixels:
    """Planes in the network's range as samples: rounded and clipped for integer types."""
    samples = header.mapping.backward(mapped)
    if not header.sample_type.startswith("float"):
        bounds = np.iinfo(header.sample_type)
        samples = np.clip(np.rint(samples), bounds.min, bounds.max)
    return samples.astype(np.float32)


def _assembled(
    header: FileHeader,
    pixels: Pixels,
    valid: Mask,
    bad: Mask | None,
    sizes: dict[int, int],
    planes: LatentPlanes | None,
) -> Decoded:
    if not sizes:
        raise BitstreamError("no tile of this file decodes: ask for it to be sent again")
    lost = tuple(number for number in range(header.tiles) if number not in sizes)
    shaped = pixels if header.planes else pixels[0]
    known = np.zeros_like(valid) if bad is None else bad
    return Decoded(shaped, valid, known, header, lost, sizes, bad is None, planes)


def _arrived(packets: dict[int, Packet], number: int) -> Packet:
    if number not in packets:
        raise BitstreamError(f"tile {number} is missing")
    return packets[number]


def _widened(span: slice) -> slice:
    return slice(max(0, span.start - REACH), span.stop + REACH)
