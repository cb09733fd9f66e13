"""Whatever happens to the bytes: flagged tiles or BitstreamError, nothing else."""

from __future__ import annotations

import binascii
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec.container import PACKET_OVERHEAD, Mode, Packet, read_header, read_packets
from engine.codec.decoding import REACH, Decoded, decode
from engine.codec.encoding import encode
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.errors import BitstreamError
from engine.frame import Frame, Origin
from engine.sky import terrain

TILE = 32


@pytest.fixture(scope="module")
def wide() -> Frame:
    pixels = np.rint(terrain(np.random.default_rng(8), (64, 256))).astype(np.uint8)
    return Frame.of(pixels, Origin("test", "wide"))


@pytest.fixture(scope="module")
def learned(wide: Frame, tiny_model: CodecModel) -> bytes:
    return encode(wide, RateTarget(bpp=2.0), tiny_model, tile=TILE)


@pytest.fixture(scope="module")
def exact(wide: Frame) -> bytes:
    return encode(wide, RateTarget(lossless=True), tile=TILE)


def parts(data: bytes) -> tuple[bytes, list[bytes]]:
    _, start = read_header(data)
    return data[:start], [p.to_bytes() for p in read_packets(data, start, 1 << 20)]


@pytest.mark.parametrize("kind", ["learned", "exact"])
def test_packets_decode_in_any_order(
    kind: str, request: pytest.FixtureRequest, tiny_model: CodecModel
):
    data = request.getfixturevalue(kind)
    head, packets = parts(data)
    shuffled = [packets[i] for i in np.random.default_rng(0).permutation(len(packets))]
    turned = decode(head + b"".join(shuffled + shuffled[:3]), tiny_model)
    np.testing.assert_array_equal(turned.pixels, decode(data, tiny_model).pixels)
    assert turned.lost_tiles == ()


@pytest.mark.parametrize("kind", ["learned", "exact"])
def test_a_lost_tile_is_flagged_and_the_rest_is_untouched(
    kind: str, request: pytest.FixtureRequest, tiny_model: CodecModel
):
    data = request.getfixturevalue(kind)
    head, packets = parts(data)
    whole = decode(data, tiny_model)
    torn = decode(head + b"".join(packets[:8] + packets[9:]), tiny_model)
    assert torn.lost_tiles == (8,)
    assert not torn.valid[TILE:, :TILE].any()
    assert torn.valid[:, TILE + REACH :].all()
    assert np.abs(torn.pixels - whole.pixels)[torn.valid].max() <= (kind == "learned")
    assert torn.frame(Origin("test", "torn")).mask[TILE:, :TILE].all()


def test_a_lost_mask_is_reported(wide: Frame):
    mask = np.zeros(wide.mask.shape, bool)
    mask[3, 4] = True
    frame = replace(wide, mask=mask)
    head, packets = parts(encode(frame, RateTarget(lossless=True), tile=TILE))
    whole, torn = (decode(head + b"".join(packets[first:])) for first in (0, 1))
    assert (whole.mask_lost, torn.mask_lost) == (False, True)
    np.testing.assert_array_equal(whole.bad, mask)
    assert torn.lost_tiles == ()


def test_a_tile_alone_decodes(exact: bytes, wide: Frame):
    head, packets = parts(exact)
    alone = decode(head + packets[5])
    np.testing.assert_array_equal(alone.pixels[alone.valid], wide.pixels[alone.valid])
    assert alone.valid.sum() == TILE * TILE


@settings(deadline=None, max_examples=50)
@given(data=st.data(), kind=st.sampled_from(["learned", "exact"]))
def test_flipped_cut_and_inserted_bytes_never_crash(
    data: st.DataObject, kind: str, learned: bytes, exact: bytes, tiny_model: CodecModel
):
    damaged = bytearray(learned if kind == "learned" else exact)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "truncate"])):
            case "flip":
                damaged[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 60))]
            case "insert":
                damaged[place:place] = data.draw(st.binary(min_size=1, max_size=60))
            case _:
                del damaged[place:]
    check(bytes(damaged), tiny_model)


@settings(deadline=None, max_examples=40)
@given(payload=st.binary(max_size=200), step=st.integers(0, 255), kind=st.booleans())
def test_a_crafted_payload_with_good_checksums_never_crashes(
    payload: bytes, step: int, kind: bool, learned: bytes, exact: bytes, tiny_model: CodecModel
):
    head, packets = parts(learned if kind else exact)
    check(head + Packet(0, step, payload).to_bytes() + b"".join(packets[1:]), tiny_model)


def check(data: bytes, model: CodecModel) -> None:
    try:
        decoded = decode(data, model)
    except BitstreamError:
        return
    assert isinstance(decoded, Decoded)
    assert decoded.pixels.shape == (64, 256)
    assert np.isfinite(decoded.pixels).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_a_truncated_file_gives_the_tiles_that_arrived(share: float, exact: bytes, wide: Frame):
    data = exact[: int(share * len(exact))]
    if share < 0.1:
        with pytest.raises(BitstreamError, match=r"not a \.cosmic file|header is damaged|no tile"):
            decode(data)
        return
    decoded = decode(data)
    assert decoded.lost_tiles
    np.testing.assert_array_equal(decoded.pixels[decoded.valid], wide.pixels[decoded.valid])


def forged(height: int, width: int, planes: int = 0, tile: int = 256) -> bytes:
    fixed = struct.pack(
        "<4sBBBBIIHHB8sH",
        b"CSMC",
        1,
        Mode.SAMPLES,
        0,
        0,
        height,
        width,
        planes,
        tile,
        0,
        bytes(8),
        0,
    )
    return fixed + struct.pack("<I", zlib.crc32(fixed))


@pytest.mark.parametrize(
    ("height", "width", "planes"),
    [(0, 5, 0), (2**32 - 1, 2**32 - 1, 65535), (2**20, 2**20, 0), (1 << 14, 1 << 14, 0)],
)
def test_impossible_sizes_are_refused_before_anything_is_allocated(
    height: int, width: int, planes: int
):
    with pytest.raises(BitstreamError, match="samples are outside"):
        decode(forged(height, width, planes))


@pytest.mark.parametrize("tile", [0, 8, 33, 2048])
def test_impossible_tiles_are_refused(tile: int):
    with pytest.raises(BitstreamError, match="a tile side must be"):
        decode(forged(4, 4, tile=tile))


def test_a_small_file_that_claims_a_large_image_is_refused():
    with pytest.raises(BitstreamError, match="no tile of this file is intact"):
        decode(forged(10_000, 10_000))


def test_a_deflate_bomb_is_refused():
    bomb = Packet(0, 0, zlib.compress(bytes(1 << 22), 9)).to_bytes()
    with pytest.raises(BitstreamError, match="no tile of this file decodes"):
        decode(forged(4, 4) + bomb)


def test_checking_work_is_bounded():
    header = b"\xcb\x5e" + struct.pack("<IBI", 0, 0, 5000)
    _, start = read_header(forged(4, 4))
    fake = header + struct.pack("<H", binascii.crc_hqx(header, 0xFFFF)) + bytes(4)
    data = forged(4, 4) + fake * 3000
    assert len(fake) == PACKET_OVERHEAD
    assert list(read_packets(data, start, 10_000)) == []


def test_another_version_is_named(exact: bytes):
    with pytest.raises(BitstreamError, match=r"version 9 of \.cosmic is unknown"):
        decode(exact[:4] + b"\x09" + exact[5:])
