"""encode: a frame to a .cosmic bitstream."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from engine.codec.colour import ERROR_GAIN, PLANES, to_luma
from engine.codec.container import (
    MASK_PACKET,
    MAX_PIXELS,
    MAX_STORED_TEXT,
    PACKET_OVERHEAD,
    SAMPLE_TYPES,
    FileHeader,
    Mode,
    Packet,
)
from engine.codec.decoding import decode
from engine.codec.exact import exact_mode, exact_packets
from engine.codec.fits_cards import BUDGET_SHARE, cards_that_fit
from engine.codec.hits import hits_packet, without_hits
from engine.codec.learned import TileEncoder, code_tiles, guess_tiles
from engine.codec.mapping import PEAK, SampleMapping
from engine.codec.model import CodecModel
from engine.codec.network import HYPER_STRIDE, STRIDE
from engine.codec.policy import TILE
from engine.codec.rate import RateTarget
from engine.codec.steps import STEPS
from engine.codec.transform import analyse, cells_of
from engine.errors import FrameTooLarge, NotApplicable
from engine.frame import Frame, Mask, Pixels
from engine.metrics.image import peak_of, psnr_db

SMALLEST_SIDE = 16
DB_PER_STEP = 20 / 32 / np.log(10)
WORD = 4
SAMPLED_TILES = 4
MOVED_STEPS = 4
MIDDLE_STEP = (STEPS - 1) // 2
CODED_SHARE = 0.5
"""What the context model and rounding leave of the bits that a hyper-latent tells, typically."""
MOST_PASSES = 3
NEAR_STEPS = 4
TRIES, TRIES_OF_MANY = 3, 1


def encode(
    frame: Frame,
    target: RateTarget,
    model: CodecModel | None = None,
    *,
    tile: int = TILE,
    hits: Mask | None = None,
) -> bytes:
    """Encode `frame` as a .cosmic bitstream of version 1.

    `model` is needed unless `target` bounds the error. `tile` is the side in pixels, a multiple of
    32, of what is lost when a packet is. The result never holds more bytes than a budget allows.
    `hits` bool (H, W) are pixels that particles hit: the learned codec codes their surroundings'
    median there, and a side list of the same file gives their samples back exactly.

    Raises NotApplicable when the frame or the budget is too small for the learned codec, a PSNR
    cannot be reached, or near-lossless coding is asked of samples that are not 8- or 16-bit
    integers; FrameTooLarge above 2^27 samples; ValueError on an impossible `tile`.
    """
    if tile % HYPER_STRIDE or not HYPER_STRIDE <= tile <= 1024:
        raise ValueError(f"a tile side must be a multiple of {HYPER_STRIDE} to 1024, got {tile}")
    if frame.pixels.size > MAX_PIXELS:
        raise FrameTooLarge(
            f"{frame.pixels.size} samples exceed the limit of {MAX_PIXELS}: cut the frame"
        )
    if frame.sample_type not in SAMPLE_TYPES:
        raise NotApplicable(f"samples of type {frame.sample_type} cannot be coded: convert them")
    if target.largest_error is not None:
        return _encode_exactly(frame, target.largest_error, tile)
    if model is None:
        raise ValueError("a model is needed unless the target is lossless or near")
    return _encode_learned(frame, target, model, tile, hits)


def _encode_exactly(frame: Frame, near: int, tile: int) -> bytes:
    mode = exact_mode(frame, near)
    header = _header(frame, mode, tile, MAX_STORED_TEXT, near=near)
    packets = exact_packets(_planes(frame.pixels), header)
    return b"".join([header.to_bytes(), *_mask_packets(frame), *(p.to_bytes() for p in packets)])


def _encode_learned(
    frame: Frame, target: RateTarget, model: CodecModel, tile: int, hits: Mask | None
) -> bytes:
    prepared = prepare(frame, target.budget(frame), model, tile, hits)
    if prepared.budget is not None:
        return prepared.head + _within_budget(prepared)
    return _reaching_psnr(frame, prepared, float(target.psnr_db or 0.0))


@dataclass(frozen=True)
class Prepared:
    """A frame that the encoder has looked at: what comes before the tiles, and the tiles.

    `head` ends with the side list `hits`, empty without hits. `coded` is the frame whose pixels
    the tiles hold, without its hits; `budget` in bytes.
    """

    header: FileHeader
    head: bytes = field(repr=False)
    hits: bytes = field(repr=False)
    tiles: list[TileEncoder] = field(repr=False)
    coded: Frame = field(repr=False)
    model: CodecModel = field(repr=False)
    budget: int | None = None


def prepare(
    frame: Frame,
    budget: int | None,
    model: CodecModel,
    tile: int,
    hits: Mask | None = None,
) -> Prepared:
    """Analyse a frame for the learned codec; three 8-bit planes become luma and two differences.

    Raises NotApplicable on a side below 16 pixels."""
    if min(frame.height, frame.width) < SMALLEST_SIDE:
        raise NotApplicable(
            f"the learned codec needs sides of at least {SMALLEST_SIDE} pixels, got "
            f"{frame.height} x {frame.width}: choose lossless"
        )
    has_hits = hits is not None and bool((hits & ~frame.mask).any())
    limit = MAX_STORED_TEXT if budget is None else int(budget * BUDGET_SHARE)
    coded = without_hits(frame, hits) if hits is not None and has_hits else frame
    masked = bool(coded.mask.any())
    good = coded.pixels[..., ~coded.mask] if masked else coded.pixels
    mapping = SampleMapping.of(good, frame.sample_type)
    header = _header(frame, Mode.LEARNED, tile, limit, model=model.identity, mapping=mapping)
    coloured = frame.planes == PLANES and frame.sample_type == "uint8"
    header = replace(header, hits=has_hits, luma=coloured)
    side_list = hits_packet(frame, hits).to_bytes() if hits is not None and has_hits else b""
    head = b"".join([header.to_bytes(), *_mask_packets(frame), side_list])
    known = coded.filled() if masked else coded.pixels
    mapped = mapping.forward(_planes(known))
    tiles = _tile_encoders(to_luma(mapped) if coloured else mapped, header, model)
    return Prepared(header, head, side_list, tiles, coded, model, budget)


def _header(
    frame: Frame,
    mode: Mode,
    tile: int,
    text_limit: int,
    *,
    near: int = 0,
    model: bytes = bytes(8),
    mapping: SampleMapping | None = None,
) -> FileHeader:
    cards, fewer = cards_that_fit(frame.header, frame.unit, text_limit)
    header = FileHeader(
        mode,
        frame.sample_type,
        frame.height,
        frame.width,
        0 if frame.pixels.ndim == 2 else frame.planes,
        tile,
        near,
        model,
        unit=frame.unit,
        cards=cards,
        essential_cards=fewer,
        masked=bool(frame.mask.any()),
    )
    return header if mapping is None else replace(header, mapping=mapping)


def _planes(pixels: Pixels) -> Pixels:
    return pixels.reshape(-1, *pixels.shape[-2:])


def _mask_packets(frame: Frame) -> list[bytes]:
    if not frame.mask.any():
        return []
    packed = zlib.compress(np.packbits(frame.mask).tobytes(), 9)
    return [Packet(MASK_PACKET, 0, packed).to_bytes()]


def _tile_encoders(mapped: Pixels, header: FileHeader, model: CodecModel) -> list[TileEncoder]:
    analysed = [analyse(model, plane) for plane in mapped]
    encoders = []
    for number in range(header.tiles):
        plane, rows, columns = header.place(number)
        latents, hyper = analysed[plane]
        encoders.append(
            TileEncoder(
                model,
                latents[:, *cells_of(rows, columns, STRIDE)],
                hyper[:, *cells_of(rows, columns, HYPER_STRIDE)],
            )
        )
    return encoders


def _within_budget(prepared: Prepared) -> bytes:
    """The packets of all tiles in what the budget leaves, at the finest steps that fit."""
    tiles, available = prepared.tiles, (prepared.budget or 0) - len(prepared.head)
    steps = steps_for(tiles, available)
    for step in set(steps):
        code_tiles([tile for tile, own in zip(tiles, steps, strict=True) if own == step], step)
    packets = [_packet(number, tiles[number], step) for number, step in enumerate(steps)]
    left = available - sum(map(len, packets))
    number = len(tiles)
    while left < 0:
        number = number - 1 if number else len(tiles) - 1
        if steps[number] == STEPS - 1:
            raise NotApplicable(
                f"{prepared.budget} bytes do not hold this frame at the coarsest step: "
                f"{-left} more are needed"
            )
        steps[number] += 1
        left += len(packets[number])
        packets[number] = _packet(number, tiles[number], steps[number])
        left -= len(packets[number])
    _fill(tiles, packets, steps, left)
    return b"".join(packets)


def _fill(tiles: list[TileEncoder], packets: list[bytes], steps: list[int], left: int) -> None:
    """Spend `left` bytes on finer steps for a few tiles, where a guess says that they suffice."""
    tries = TRIES if len(tiles) <= SAMPLED_TILES else TRIES_OF_MANY
    number = 0
    while number < len(tiles) and tries:
        step = steps[number]
        cost = _estimated_bytes(tiles[number], max(step - 1, 0)) - len(packets[number])
        if step == 0 or cost > left:
            number += 1
            continue
        tries -= 1
        finer = _packet(number, tiles[number], step - 1)
        if len(finer) - len(packets[number]) > left:
            number += 1
            continue
        left -= len(finer) - len(packets[number])
        packets[number], steps[number] = finer, step - 1


def steps_for(tiles: list[TileEncoder], available: int) -> list[int]:
    """Steps of all tiles that take about what is available together.

    Many tiles stay at the step that the search coded them at, and a few move by four: that costs
    a hundredth of a decibel and saves coding all of them again.
    """
    step = step_for(tiles, available)
    coded = tiles[0].step
    if len(tiles) > SAMPLED_TILES and coded is not None and abs(step - coded) <= MOVED_STEPS:
        step = coded
    spare = available - sum(_estimated_bytes(tile, step) for tile in tiles)
    moved = 1 if step != coded or len(tiles) <= SAMPLED_TILES else MOVED_STEPS
    moved = moved if spare < 0 else -moved
    target = min(max(step + moved, 0), STEPS - 1)
    steps = [step] * len(tiles)
    for number, tile in enumerate(tiles):
        saved = _estimated_bytes(tile, step) - _estimated_bytes(tile, target)
        if spare < 0 or -saved <= spare:
            steps[number] = target
            spare += saved
        if moved > 0 and spare >= 0:
            break
    return steps


def step_for(tiles: list[TileEncoder], available: int) -> int:
    """One step for all tiles that takes about what is available.

    A few tiles are coded, and say by how much the hyper-latents of all mislead. Then all are coded
    once; a frame of few tiles again where that was off.
    """
    if len(tiles) <= SAMPLED_TILES:
        step = _finest_that_fits(tiles, available)
        return _settled_step(tiles, available, _settled_step(tiles, available, step))
    sample = tiles[:: -(-len(tiles) // SAMPLED_TILES)]
    share = available * len(sample) / len(tiles)
    guess_tiles(sample, MIDDLE_STEP)
    step = _finest_that_fits(sample, round(share / CODED_SHARE))
    for _ in range(MOST_PASSES):
        code_tiles(sample, step)
        guess_tiles(tiles, step)
        before, step = step, _finest_by_prior(tiles, sample, available)
        if abs(step - before) <= NEAR_STEPS:
            break
    code_tiles(tiles, step)
    return _finest_that_fits(tiles, available)


def _settled_step(tiles: list[TileEncoder], available: int, step: int) -> int:
    for _ in range(MOST_PASSES):
        code_tiles(tiles, step)
        before, step = step, _finest_that_fits(tiles, available)
        if abs(step - before) <= NEAR_STEPS:
            break
    return step


def _finest_by_prior(tiles: list[TileEncoder], sample: list[TileEncoder], available: int) -> int:
    """The finest step at which the guesses from hyper-latents fit, made right by the sample."""

    def fits(step: int) -> bool:
        guessed = sum(tile.prior_bits(step) for tile in sample)
        found = sum(tile.estimated_bits(step) for tile in sample)
        whole = sum(tile.prior_bits(step) for tile in tiles) * found / max(guessed, 1e-9)
        return len(tiles) * (PACKET_OVERHEAD + WORD / 2) + whole / 8 <= available

    return _bisected(fits)


def _bisected(fits: Callable[[int], bool]) -> int:
    """The finest step that fits, the coarsest where none does."""
    low, high = 0, STEPS - 1
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _finest_that_fits(tiles: list[TileEncoder], available: int) -> int:
    """The finest step whose guessed bytes fit; the coarsest where none does."""
    return _bisected(lambda step: sum(_estimated_bytes(tile, step) for tile in tiles) <= available)


def _estimated_bytes(tile: TileEncoder, step: int) -> int:
    return PACKET_OVERHEAD + WORD * int(np.ceil(tile.estimated_bits(step) / (8 * WORD)))


def _packet(number: int, tile: TileEncoder, step: int) -> bytes:
    return Packet(number, step, tile.payload(step)).to_bytes()


def _reaching_psnr(frame: Frame, prepared: Prepared, wanted_db: float) -> bytes:
    """The coarsest single step whose decoded pixels reach `wanted_db`.

    The basis being close to orthonormal, the error of the latents says about where to look; the
    decoded pixels of the steps around it decide.
    """

    def tried(step: int) -> tuple[bytes, float]:
        code_tiles(prepared.tiles, step)
        packets = [_packet(n, tile, step) for n, tile in enumerate(prepared.tiles)]
        coded = prepared.head + b"".join(packets)
        pixels = decode(coded, prepared.model).pixels
        return coded, psnr_db(frame.pixels, pixels, peak_of(frame), good=~frame.mask)

    step = _step_for_psnr(prepared, wanted_db)
    best, reached = tried(step)
    coarser = reached >= wanted_db
    best = best if coarser else b""
    while coarser and step < STEPS - 1:
        coded, reached = tried(step + 1)
        if reached < wanted_db:
            break
        step, best = step + 1, coded
    while not best and step > 0:
        step -= max(1, int((wanted_db - reached) / DB_PER_STEP))
        coded, reached = tried(max(step, 0))
        best = coded if reached >= wanted_db else b""
    if not best:
        raise NotApplicable(
            f"the learned codec does not reach {wanted_db} dB here: choose near or lossless"
        )
    return best


def _step_for_psnr(prepared: Prepared, wanted_db: float) -> int:
    """The coarsest step at which the error of the latents is small enough."""
    coded = prepared.coded
    if prepared.header.mapping.kind == "affine":
        unit = prepared.header.mapping.slope(np.zeros((1, 1), np.float32)).item()
    else:
        unit = peak_of(coded) / PEAK
    allowed = (peak_of(coded) / unit) ** 2 / 10 ** (wanted_db / 10) * coded.pixels.size
    if prepared.header.luma:
        allowed /= ERROR_GAIN
    step = _coarsest_within(prepared.tiles, allowed)
    code_tiles(prepared.tiles, step)
    return _coarsest_within(prepared.tiles, allowed)


def _coarsest_within(tiles: list[TileEncoder], allowed: float) -> int:
    """The coarsest step whose guessed squared error is allowed."""
    low, high = 0, STEPS - 1
    while low < high:
        middle = (low + high + 1) // 2
        if sum(tile.estimated_squared_error(middle) for tile in tiles) <= allowed:
            low = middle
        else:
            high = middle - 1
    return low
