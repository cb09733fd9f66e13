"""Refinement packets: exact symbols, embedded in the base, harmless when lost or damaged."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec.conditional import ConditionalTables
from engine.codec.container import Packet
from engine.codec.decoding import decode
from engine.codec.learned import CoarseSymbols
from engine.codec.model import CodecModel
from engine.codec.progressive import ProgressiveFrame, in_pieces
from engine.codec.refinement import (
    RefinedPart,
    refined_part,
    refined_payload,
    refined_tile,
)
from engine.codec.steps import log_q
from engine.codec.tables import LEVELS, TOTAL, gaussian_tables
from engine.errors import BitstreamError
from engine.frame import Frame

TABLES = gaussian_tables()
CONDITIONAL = ConditionalTables(TABLES)


@settings(deadline=None, max_examples=80)
@given(
    coarse=st.integers(0, 1300),
    level=st.integers(0, LEVELS - 1),
    ratio=st.integers(1, 30).map(lambda n: 4 * n),
)
def test_conditional_counts_are_positive_and_sum_exactly(coarse: int, level: int, ratio: int):
    fine = min(level + ratio // 4, LEVELS - 1)
    table = CONDITIONAL.table(coarse, level, fine, ratio)
    assert table.counts.min() >= 1
    assert int(table.counts.sum()) == TOTAL


@pytest.mark.parametrize("level", [4, 20, 36])
@pytest.mark.parametrize("ratio", [24, 72])
def test_the_fine_symbol_of_every_value_is_allowed(level: int, ratio: int):
    """What the coarse quantiser calls n lies within half a fine step of the table of n."""
    values = np.random.default_rng(level).normal(0, np.exp(-2586 / 1024 + level / 8), 4000)
    symbols = TABLES.quantise(values, np.full(values.shape, level))
    fine = min(level + ratio // 4, LEVELS - 1)
    for value, symbol in zip(values, symbols, strict=True):
        table = CONDITIONAL.table(abs(int(symbol)), level, fine, ratio)
        if symbol == 0 and abs(value) * np.exp(ratio / 32) > len(table.counts) // 2:
            continue  # farther out than the fine Gaussian reaches
        wanted = abs(value) * np.exp(ratio / 32) if symbol else value * np.exp(ratio / 32)
        nearest = np.clip(np.rint(wanted), table.first, table.first + len(table.counts) - 1)
        assert abs(nearest - wanted) <= 0.51


def test_layers_cost_hardly_more_than_the_fine_symbols_alone():
    """The chain rule of entropy: bits(coarse) + bits(fine | coarse) against bits(fine)."""
    rng = np.random.default_rng(1)
    level, ratio = 24, 48
    scale = np.exp(-2586 / 1024 + level / 8)
    values = rng.normal(0, scale, 20_000)
    levels = np.full(values.shape, level)
    coarse = TABLES.quantise(values, levels)
    base = float(TABLES.bits(coarse, levels).sum())
    fine_values = values * np.exp(ratio / 32)
    more = 0.0
    for symbol in np.unique(coarse):
        here = coarse == symbol
        sign = -1 if symbol < 0 else 1
        table = CONDITIONAL.table(abs(int(symbol)), level, level + ratio // 4, ratio)
        more += float(table.costs[table.quantise(fine_values[here] * sign)].sum())
    at_once = TABLES.quantise(fine_values, levels + ratio // 4)
    alone = float(TABLES.bits(at_once, levels + ratio // 4).sum())
    assert base + more < 1.04 * alone


def random_tile(seed: int) -> tuple[np.ndarray, CoarseSymbols]:
    rng = np.random.default_rng(seed)
    shape = (256, 2, 3)
    log_scale = np.floor(rng.uniform(-2, 5, shape) * 1024) / 1024
    mean = np.floor(rng.normal(0, 5, shape) * 1024) / 1024
    latents = (mean + rng.standard_t(3, shape) * np.exp(log_scale)).astype(np.float32)
    step = 120
    symbols = np.rint((latents - mean) / np.exp(log_q(step))).astype(np.int32)
    return latents, CoarseSymbols(symbols, mean, log_scale, step)


@pytest.mark.parametrize("fine", [116, 88, 24])
def test_a_refinement_brings_latents_closer(tiny_model: CodecModel, fine: int):
    latents, coarse = random_tile(fine)
    payload = refined_payload(tiny_model, latents, coarse, fine)
    tile = refined_tile(tiny_model, payload, coarse, fine)
    before = coarse.symbols * np.exp(log_q(coarse.step)) + coarse.mean - latents
    after = tile.latents - latents
    assert np.square(after).mean() < np.square(before).mean()
    again = refined_tile(tiny_model, payload, coarse, fine)
    np.testing.assert_array_equal(tile.coarse.symbols, again.coarse.symbols)


def test_steps_that_do_not_nest_are_refused(tiny_model: CodecModel):
    latents, coarse = random_tile(0)
    with pytest.raises(ValueError, match="go down by multiples of 4"):
        refined_payload(tiny_model, latents, coarse, 117)
    with pytest.raises(BitstreamError, match="cannot be refined to 120"):
        refined_tile(tiny_model, bytes(4), coarse, 120)


def test_a_refinement_is_the_same_on_every_machine(tiny_model: CodecModel):
    """A golden payload: a change here makes every layered file unreadable."""
    rng = np.random.default_rng(11)
    shape = (256, 2, 2)
    log_scale = rng.integers(-2048, 4096, shape) / 1024
    symbols = rng.integers(-2, 3, shape).astype(np.int32)
    coarse = CoarseSymbols(symbols, np.zeros(shape), log_scale, 128)
    latents = (symbols * np.exp(log_q(128))).astype(np.float32)
    payload = refined_payload(tiny_model, latents, coarse, 96)
    digest = hashlib.sha256(payload).hexdigest()[:16]
    assert (len(payload), digest) == (GOLDEN_BYTES, GOLDEN_DIGEST)


GOLDEN_BYTES, GOLDEN_DIGEST = 128, "de06aa73187c4ff8"


@given(
    side=st.sampled_from([32, 64, 128, 256]),
    coarse=st.integers(0, 255),
    index=st.integers(0, (1 << 20) - 1),
)
def test_numbers_of_refinements_come_back(side: int, coarse: int, index: int):
    part = RefinedPart(side, coarse, index)
    assert refined_part(part.number) == part


def test_a_part_that_cannot_be_named_is_refused():
    with pytest.raises(ValueError, match="take a larger side"):
        _ = RefinedPart(32, 100, 1 << 20).number


@pytest.mark.parametrize("number", [0, 0x7FFFFFFF, 0xC0000000, 0xFFFFFFFE, 0xFFFFFFFF])
def test_other_numbers_are_no_refinements(number: int):
    assert refined_part(number) is None


@pytest.fixture(scope="module")
def pieces(ground: Frame, tiny_model: CodecModel) -> ProgressiveFrame:
    return in_pieces(ground, tiny_model, base_bpp=0.2, full_bpp=6.0, side=32, tile=64)


def test_every_refinement_mends_its_part_alone(
    pieces: ProgressiveFrame, ground: Frame, tiny_model: CodecModel
):
    base = pieces.head + b"".join(p.content for p in pieces.pieces if p.is_base)
    coarse = decode(base, tiny_model)
    assert coarse.refined is not None
    assert not coarse.refined.any()
    finer = [p for p in pieces.pieces if p.layer == 1]
    for piece in finer[:3]:
        one = decode(base + piece.content, tiny_model)
        assert one.refined is not None
        assert one.refined.sum() == one.refined[piece.rows, piece.columns].size
        area = (piece.rows, piece.columns)
        errors = [np.square(d.pixels - ground.pixels)[area].mean() for d in (coarse, one)]
        assert errors[1] < errors[0]
        assert one.lost_tiles == ()
    whole = decode(pieces.whole, tiny_model)
    backwards = pieces.head + b"".join(p.content for p in reversed(pieces.pieces))
    np.testing.assert_array_equal(decode(backwards, tiny_model).pixels, whole.pixels)


def test_a_refinement_without_its_base_changes_nothing(
    pieces: ProgressiveFrame, tiny_model: CodecModel
):
    bases = [p.content for p in pieces.pieces if p.is_base]
    part = pieces.head + b"".join(bases[1:])
    finer = [p for p in pieces.pieces if p.layer == 1 and p.rows.stop <= 64]
    orphan = next(p for p in finer if p.columns.stop <= 64)
    with_it = decode(part + orphan.content, tiny_model)
    np.testing.assert_array_equal(with_it.pixels, decode(part, tiny_model).pixels)
    assert with_it.lost_tiles == (0,)


def test_a_second_layer_needs_the_first(pieces: ProgressiveFrame, tiny_model: CodecModel):
    base = pieces.head + b"".join(p.content for p in pieces.pieces if p.is_base)
    second = [p for p in pieces.pieces if p.layer == 2]
    assert second
    first = next(p for p in pieces.pieces if p.layer == 1 and p.place == second[0].place)
    alone = decode(base + second[0].content, tiny_model)
    np.testing.assert_array_equal(alone.pixels, decode(base, tiny_model).pixels)
    assert alone.refined is not None
    assert not alone.refined.any()
    both = decode(base + second[0].content + first.content, tiny_model)
    one = decode(base + first.content, tiny_model)
    assert (both.pixels != one.pixels).any()


@settings(deadline=None, max_examples=25)
@given(payload=st.binary(max_size=120), step=st.integers(0, 255), number=st.integers(0, 2**32 - 1))
def test_crafted_refinements_never_crash(
    payload: bytes, step: int, number: int, pieces: ProgressiveFrame, tiny_model: CodecModel
):
    base = pieces.head + b"".join(p.content for p in pieces.pieces if p.is_base)
    crafted = Packet(number | 0x80000000, step, payload).to_bytes()
    decoded = decode(base + crafted, tiny_model)
    assert np.isfinite(decoded.pixels).all()
