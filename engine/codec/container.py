"""The .cosmic bitstream, version 1: a file header and packets that need nothing but it.

All integers are little-endian.

    FILE   := HEADER TEXT CRC PACKET*       packets in any order, any subset decodes
    HEADER := "CSMC" version:u8 mode:u8 sample:u8 flags:u8 height:u32 width:u32 planes:u16
              tile:u16 near:u8 model:8 bytes text length:u16
    TEXT   := mapping (32 bytes, when flagged) then deflated unit and FITS cards
    CRC    := u32, CRC-32 of HEADER and TEXT
    PACKET := 0x5ECB:u16 number:u32 step:u8 length:u32 header CRC:u16 payload CRC-32:u32 payload

A packet's number counts tiles in raster order, plane by plane; MASK_PACKET carries the mask of bad
pixels, HITS_PACKET the samples under particle hits that the coded image leaves out, and a number
from 0x80000000 to 0xBFFFFFFF a finer step for part of a tile (`refinement`). A decoder passes over
numbers that it does not know. `planes` is 0 for a frame without a plane axis.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap

from engine.codec.colour import PLANES
from engine.codec.mapping import EIGHT_BIT, STORED_BYTES, SampleMapping
from engine.errors import BitstreamError

MAGIC = b"CSMC"
VERSION = 1
SYNC = b"\xcb\x5e"
MASK_PACKET = 0xFFFFFFFF
HITS_PACKET = 0xFFFFFFFE
MAX_PIXELS = 1 << 27
MAX_TEXT = 1 << 20
MAX_STORED_TEXT = 0xFFFF
MAX_TILE = 1024
SAMPLE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
CHECKED_BYTES_LIMIT = 4

_HEADER = struct.Struct("<4sBBBBIIHHB8sH")
_PACKET = struct.Struct("<2sIBI")
_CRC16, _CRC32 = struct.Struct("<H"), struct.Struct("<I")
PACKET_OVERHEAD = _PACKET.size + _CRC16.size + _CRC32.size
_AFFINE, _ASINH, _ESSENTIAL_CARDS, _MASKED, _HITS, _LUMA = 1, 2, 4, 8, 16, 32


class Mode(IntEnum):
    """How the payloads of the tiles are coded."""

    LEARNED = 0
    NEAR = 1
    SAMPLES = 2


@dataclass(frozen=True)
class FileHeader:
    """What a decoder must know before it looks at packets.

    `near` is the largest error of Mode.NEAR (0 = lossless). `unit` and `cards` describe the frame;
    `essential_cards` says that only the cards needed to place and calibrate it were kept, `masked`
    that a packet with the mask of bad pixels belongs to the file, `hits` one with particle hits.
    `luma` says that three planes were coded as luma and two colour differences.
    """

    mode: Mode
    sample_type: str
    height: int
    width: int
    planes: int
    tile: int
    near: int = 0
    model: bytes = bytes(8)
    mapping: SampleMapping = EIGHT_BIT
    unit: str = ""
    cards: str = ""
    essential_cards: bool = False
    masked: bool = False
    hits: bool = False
    luma: bool = False

    @property
    def coded_planes(self) -> int:
        """Number of planes, 1 for a frame without a plane axis."""
        return max(self.planes, 1)

    @property
    def tile_rows(self) -> int:
        return -(-self.height // self.tile)

    @property
    def tile_columns(self) -> int:
        return -(-self.width // self.tile)

    @property
    def tiles(self) -> int:
        """Tiles of all planes."""
        return self.tile_rows * self.tile_columns * self.coded_planes

    def place(self, number: int) -> tuple[int, slice, slice]:
        """Plane, rows and columns that tile `number` covers."""
        plane, index = divmod(number, self.tile_rows * self.tile_columns)
        row, column = divmod(index, self.tile_columns)
        y0, x0 = row * self.tile, column * self.tile
        rows = slice(y0, min(y0 + self.tile, self.height))
        return plane, rows, slice(x0, min(x0 + self.tile, self.width))

    def to_bytes(self) -> bytes:
        """The header with text and checksum. Raises BitstreamError when the text is too long."""
        text = deflated_text(self.unit, self.cards)
        if len(text) > MAX_STORED_TEXT:
            raise BitstreamError(
                f"the FITS header takes {len(text)} bytes deflated, the limit is "
                f"{MAX_STORED_TEXT}: shorten it"
            )
        flags = _ESSENTIAL_CARDS * self.essential_cards | _MASKED * self.masked
        flags |= _HITS * self.hits | _LUMA * self.luma
        mapping = b""
        if self.mapping != EIGHT_BIT:
            flags |= _ASINH if self.mapping.kind == "asinh" else _AFFINE
            mapping = self.mapping.to_bytes()
        fixed = _HEADER.pack(
            MAGIC,
            VERSION,
            self.mode,
            SAMPLE_TYPES.index(self.sample_type),
            flags,
            self.height,
            self.width,
            self.planes,
            self.tile,
            self.near,
            self.model,
            len(text),
        )
        head = fixed + mapping + text
        return head + _CRC32.pack(zlib.crc32(head))


@dataclass(frozen=True)
class Packet:
    """One independently checked piece: a tile, its refinement, a mask or a list of hits."""

    number: int
    step: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """The packet with its sync word and checksums."""
        head = _PACKET.pack(SYNC, self.number, self.step, len(self.payload))
        checks = _crc16(head) + _CRC32.pack(zlib.crc32(self.payload))
        return head + checks + self.payload


def deflated_text(unit: str, cards: str) -> bytes:
    """Unit and cards as stored; nothing when both are empty."""
    return zlib.compress(f"{unit}\n{cards}".encode(), 9) if unit or cards else b""


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[FileHeader, int]:
    """Read the file header; return it with the offset of the first packet.

    Raises BitstreamError when it is not a .cosmic file of this version, is damaged, or declares
    more than `max_pixels` samples.
    """
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise BitstreamError("this is not a .cosmic file: it does not begin with a CSMC header")
    (_, version, mode, sample, flags, height, width, planes, tile, near, model, text_length) = (
        _HEADER.unpack_from(data)
    )
    if version != VERSION:
        raise BitstreamError(f"version {version} of .cosmic is unknown: update skysieve")
    mapped = bool(flags & (_AFFINE | _ASINH))
    end = _HEADER.size + STORED_BYTES * mapped + text_length
    stored = data[end : end + _CRC32.size]
    if len(stored) < _CRC32.size or _CRC32.unpack(stored)[0] != zlib.crc32(data[:end]):
        raise BitstreamError("the file header is damaged: ask for it to be sent again")
    _check_geometry(mode, sample, height, width, planes, tile, max_pixels)
    mapping: SampleMapping | None = EIGHT_BIT
    if mapped:
        kind = "asinh" if flags & _ASINH else "affine"
        mapping = SampleMapping.from_bytes(kind, data[_HEADER.size : _HEADER.size + STORED_BYTES])
    if mapping is None:
        raise BitstreamError("the file header holds a sample mapping that cannot be")
    unit, cards = _inflated_text(data[end - text_length : end])
    header = FileHeader(
        Mode(mode),
        SAMPLE_TYPES[sample],
        height,
        width,
        planes,
        tile,
        near,
        model,
        mapping,
        unit,
        cards,
        bool(flags & _ESSENTIAL_CARDS),
        bool(flags & _MASKED),
        bool(flags & _HITS),
        bool(flags & _LUMA) and planes == PLANES,
    )
    return header, end + _CRC32.size


def read_packets(data: bytes | mmap, start: int, max_payload: int) -> Iterator[Packet]:
    """Yield every packet whose checksums hold, looking for the next sync word after damage.

    Payloads above `max_payload` bytes are skipped, and no more than four times the file's length
    is checked, so that a crafted file costs no more time than a long one.
    """
    position = data.find(SYNC, start)
    allowance = CHECKED_BYTES_LIMIT * len(data)
    while position >= 0 and allowance > 0:
        body = position + PACKET_OVERHEAD
        head = data[position : position + _PACKET.size]
        checks = data[position + _PACKET.size : body]
        position += len(SYNC)
        if len(checks) == _CRC16.size + _CRC32.size and checks[:2] == _crc16(head):
            _, number, step, length = _PACKET.unpack(head)
            payload = data[body : body + length] if length <= max_payload else b""
            allowance -= len(payload)
            intact = len(payload) == length and _CRC32.unpack(checks[2:])[0] == zlib.crc32(payload)
            if intact:
                yield Packet(number, step, payload)
                position = body + length
        position = data.find(SYNC, position)


def inflate(stored: bytes, limit: int) -> bytes:
    """Inflate at most `limit` bytes. Raises BitstreamError on damage or when there is more."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(stored, limit)
    except zlib.error as error:
        raise BitstreamError(f"deflated bytes are damaged: {error}") from error
    if not inflater.eof:
        raise BitstreamError(f"deflated bytes are cut short or inflate to more than {limit} bytes")
    return plain


def _check_geometry(
    mode: int, sample: int, height: int, width: int, planes: int, tile: int, max_pixels: int
) -> None:
    samples = height * width * max(planes, 1)
    if mode not in set(Mode) or sample >= len(SAMPLE_TYPES):
        raise BitstreamError(f"coding mode {mode} or sample type {sample} is unknown")
    if not 1 <= samples <= max_pixels:
        raise BitstreamError(
            f"{max(planes, 1)} x {height} x {width} samples are outside 1..{max_pixels}: "
            "raise the limit if the file is to be trusted"
        )
    if not 16 <= tile <= MAX_TILE or tile % 32:
        raise BitstreamError(f"a tile side must be a multiple of 32 up to {MAX_TILE}, got {tile}")


def _inflated_text(stored: bytes) -> tuple[str, str]:
    if not stored:
        return "", ""
    try:
        unit, _, cards = inflate(stored, MAX_TEXT).decode("utf-8").partition("\n")
    except UnicodeDecodeError as error:
        raise BitstreamError("the text of the file header is not UTF-8") from error
    return unit, cards


def _crc16(head: bytes) -> bytes:
    return _CRC16.pack(binascii.crc_hqx(head, 0xFFFF))
