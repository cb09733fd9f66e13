"""A pass: which packets of many frames go down first, and what has arrived after any byte.

Packets go by (squared error taken away x science value) per byte, a refinement never before its
base; cutouts that look odd go before the other refinements, each whole. Every packet travels in a
record that a receiver finds again after damage:

    RECORD := 0x5EC7:u16 frame:u16 length:u32 CRC-16 of these:u16 body

`frame` numbers the frames of the pass. The first record of a frame holds its name and file header,
the later ones whole .cosmic packets: the file of a frame is the concatenation of its bodies.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.codec.container import read_header
from engine.codec.ordering import by_density, density, wholes_first
from engine.codec.progressive import Piece, ProgressiveFrame
from engine.errors import BitstreamError

Order = Literal["priority", "raster"]
SHARES = (0.05, 0.10, 0.25, 0.50, 1.00)
SYNC = b"\xc7\x5e"
MOST_FRAMES = 0xFFFF
LONGEST_NAME = 255
_RECORD = struct.Struct("<2sHI")
_CRC = struct.Struct("<H")
RECORD_OVERHEAD = _RECORD.size + _CRC.size


@dataclass(frozen=True)
class Scheduled:
    """A record in its place: `begin` and `end` are bytes of the pass before and after it.

    `piece` is None for a frame's head and for its side list of hits.
    """

    frame: int
    body: bytes = field(repr=False)
    piece: Piece | None
    begin: int
    end: int

    @property
    def record(self) -> bytes:
        """The bytes that are sent."""
        head = _RECORD.pack(SYNC, self.frame, len(self.body))
        return head + _CRC.pack(binascii.crc_hqx(head, 0xFFFF)) + self.body


@dataclass(frozen=True)
class Link:
    """A radio link. `rate_bps` bits a second, `light_time_s` seconds from sender to receiver."""

    rate_bps: float
    light_time_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.rate_bps > 0 and self.light_time_s >= 0):
            raise ValueError(f"a link needs a rate above 0 and a light time of at least 0: {self}")

    def budget(self, pass_s: float) -> int:
        """Whole bytes that a pass of `pass_s` seconds carries."""
        return int(self.rate_bps * pass_s / 8)

    def arrival_s(self, sent_bytes: int) -> float:
        """Seconds after the pass began at which a byte has arrived."""
        return 8 * sent_bytes / self.rate_bps + self.light_time_s


@dataclass(frozen=True)
class Arrived:
    """What a share of the bytes brought.

    `gain` and `refinement_gain` are shares of the weighted squared error that all bases and
    refinements, or all refinements, take away; `rmse_255` the root mean square error that is
    left, in 1/255 of each frame's range. `refined` counts refinements.
    """

    share: float
    bytes: int
    seconds: float | None
    frames: int
    base_tiles: int
    refined: int
    gain: float
    refinement_gain: float
    rmse_255: float


@dataclass(frozen=True)
class Pass:
    """Records in the order in which they are sent; those that end beyond `budget` are not."""

    frames: tuple[str, ...]
    scheduled: tuple[Scheduled, ...] = field(repr=False)
    budget: int | None
    order: Order

    @property
    def total_bytes(self) -> int:
        """Bytes of everything, sent or not."""
        return self.scheduled[-1].end

    @property
    def sent(self) -> tuple[Scheduled, ...]:
        """The records within the budget."""
        if self.budget is None:
            return self.scheduled
        return tuple(item for item in self.scheduled if item.end <= self.budget)

    @property
    def unsent(self) -> tuple[Scheduled, ...]:
        """The records beyond the budget, most valuable first."""
        return self.scheduled[len(self.sent) :]

    @property
    def sent_bytes(self) -> int:
        sent = self.sent
        return sent[-1].end if sent else 0

    def stream(self) -> bytes:
        """What goes over the link, at most `budget` bytes."""
        return b"".join(item.record for item in self.sent)


def plan(
    frames: Sequence[ProgressiveFrame], *, budget: int | None = None, order: Order = "priority"
) -> Pass:
    """Order the packets of `frames`.

    All bases come first, each frame's head before its first one, by falling saved error per byte;
    then, whole, the regions that frames want first, by value per byte; then the other refinements
    by falling saved error per byte, a finer layer never before a coarser one of its place; side
    lists of hits come last. In "raster" order bases and refinements come frame by frame and row by
    row, all layers of a place together.
    Raises ValueError without frames or with more than 65535.
    """
    if not 0 < len(frames) <= MOST_FRAMES:
        raise ValueError(f"a pass carries 1 to {MOST_FRAMES} frames, got {len(frames)}")
    entries = [(number, piece) for number, frame in enumerate(frames) for piece in frame.pieces]
    entries.sort(key=lambda entry: (entry[0], entry[1].place))
    bases = [entry for entry in entries if entry[1].is_base]
    refinements = [entry for entry in entries if not entry[1].is_base]
    if order == "priority":
        bases.sort(key=lambda entry: density(entry, _cost), reverse=True)
        refinements = wholes_first(frames, by_density(refinements, _cost), _cost)
    chosen = _with_heads(frames, [*bases, *refinements])
    tails = ((number, frame.tail, None) for number, frame in enumerate(frames) if frame.tail)
    scheduled, position = [], 0
    for number, body, piece in [*chosen, *tails]:
        end = position + RECORD_OVERHEAD + len(body)
        scheduled.append(Scheduled(number, body, piece, position, end))
        position = end
    return Pass(tuple(frame.name for frame in frames), tuple(scheduled), budget, order)


def timetable(
    planned: Pass,
    frames: Sequence[ProgressiveFrame],
    link: Link | None = None,
    shares: Iterable[float] = SHARES,
) -> list[Arrived]:
    """What has arrived at each share of the pass's bytes, and when."""
    samples = sum(frame.pixels for frame in frames)
    left = sum(frame.full_error for frame in frames)
    pieces = [piece for frame in frames for piece in frame.pieces]
    all_plain = sum(piece.plain_saved for piece in pieces)
    whole = sum(piece.saved for piece in pieces)
    refining = sum(piece.saved for piece in pieces if not piece.is_base)
    total = planned.sent_bytes
    rows = []
    for share in shares:
        limit = int(share * total)
        here = [item for item in planned.sent if item.end <= limit]
        got = [item.piece for item in here if item.piece is not None]
        finer = [piece for piece in got if not piece.is_base]
        error = left + all_plain - sum(piece.plain_saved for piece in got)
        rows.append(
            Arrived(
                share=share,
                bytes=limit,
                seconds=None if link is None else link.arrival_s(limit),
                frames=len({item.frame for item in here}),
                base_tiles=len(got) - len(finer),
                refined=len(finer),
                gain=sum(piece.saved for piece in got) / whole if whole else 0.0,
                refinement_gain=sum(p.saved for p in finer) / refining if refining else 0.0,
                rmse_255=(max(error, 0.0) / samples) ** 0.5,
            )
        )
    return rows


def received(stream: bytes) -> dict[int, tuple[str, bytes]]:
    """Name and .cosmic file of every frame whose head arrived, from a stream cut or damaged.

    Bodies of damaged records are dropped; the packets in them would not decode either.
    """
    names: dict[int, str] = {}
    parts: dict[int, list[bytes]] = {}
    position = stream.find(SYNC)
    while position >= 0:
        begin = position + RECORD_OVERHEAD
        head = stream[position : position + _RECORD.size]
        check = stream[position + _RECORD.size : begin]
        position += len(SYNC)
        if len(check) == _CRC.size and _CRC.unpack(check)[0] == binascii.crc_hqx(head, 0xFFFF):
            _, number, length = _RECORD.unpack(head)
            body = stream[begin : begin + length]
            if number in names:
                parts[number].append(body)
                position = begin + len(body)
            elif (opened := _opened(body)) is not None:
                names[number], parts[number] = opened[0], [opened[1]]
                position = begin + len(body)
        position = stream.find(SYNC, position)
    return {number: (name, b"".join(parts[number])) for number, name in names.items()}


def opening(name: str, head: bytes) -> bytes:
    """The body of a frame's first record: its name's length and UTF-8 bytes, then its head."""
    text = name.encode()[:LONGEST_NAME]
    return bytes([len(text)]) + text + head


def _opened(body: bytes) -> tuple[str, bytes] | None:
    if not body or len(body) < 1 + body[0]:
        return None
    name = body[1 : 1 + body[0]].decode("utf-8", errors="replace")
    head = body[1 + body[0] :]
    try:
        read_header(head)
    except BitstreamError:
        return None
    return name, head


def _cost(piece: Piece) -> int:
    return RECORD_OVERHEAD + len(piece.content)


def _with_heads(
    frames: Sequence[ProgressiveFrame], entries: Sequence[tuple[int, Piece]]
) -> list[tuple[int, bytes, Piece | None]]:
    """Each frame's head just before its first piece."""
    begun: set[int] = set()
    bodies: list[tuple[int, bytes, Piece | None]] = []
    for number, piece in entries:
        if number not in begun:
            begun.add(number)
            bodies.append((number, opening(frames[number].name, frames[number].head), None))
        bodies.append((number, piece.content, piece))
    return bodies
