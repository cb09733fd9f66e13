"""Stages reach every latent once, see the past alone, and say the same in any company."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import torch

from engine.codec.context import Stage, cells_in, stages_of
from engine.codec.encoding import MOVED_STEPS, steps_for
from engine.codec.hyperprior import scale_levels
from engine.codec.learned import (
    DecodedTile,
    TileEncoder,
    TilePayload,
    code_tiles,
    decode_tiles,
)
from engine.codec.model import CodecModel, freeze
from engine.codec.network import DropoutAutoencoder
from engine.codec.stagecoding import Levels, Symbols, dyadic_q
from engine.codec.steps import STEPS, log_q
from engine.errors import BitstreamError

SHAPE = (6, 5)


def decoded(model: CodecModel, payload: bytes, step: int) -> DecodedTile:
    (found,) = decode_tiles(model, [TilePayload(payload, step, SHAPE)])
    assert isinstance(found, DecodedTile)
    return found


def a_tile(model: CodecModel, seed: int = 0) -> TileEncoder:
    rng = np.random.default_rng(seed)
    latents = rng.laplace(0.0, 30.0, (256, *SHAPE)) / (1 + np.arange(256))[:, None, None] ** 0.5
    hyper = rng.normal(0.0, 4.0, (4, 3, 3))
    return TileEncoder(model, latents.astype(np.float32), hyper.astype(np.float32))


@pytest.mark.parametrize("channels", [5, 32, 256])
def test_every_latent_is_coded_in_one_stage(channels: int):
    coded = np.zeros((channels, *SHAPE), int)
    for stage in stages_of(channels):
        coded[stage.first : stage.last][:, cells_in(stage.cells, *SHAPE)] += 1
    assert (coded == 1).all()


def test_a_stage_sees_what_came_before_and_nothing_else(tiny_model: CodecModel):
    tile = a_tile(tiny_model)
    changed = replace(tile, latents=tile.latents.copy())
    changed.latents[32:] += 60.0
    changed.latents[:32][:, cells_in("rest", *SHAPE)] += 60.0
    first, second = (one.coarse(90) for one in (tile, changed))
    early = cells_in("half", *SHAPE)
    np.testing.assert_array_equal(first.mean[:8][:, early], second.mean[:8][:, early])
    assert not np.array_equal(first.log_scale[32:96], second.log_scale[32:96])


@pytest.mark.parametrize(("rows", "columns"), [(6, 5), (1, 1), (2, 7)])
def test_the_coder_walks_as_training_does_with_every_number_rounded(
    tiny_model: CodecModel, rows: int, columns: int
):
    """The fast walk by matrix products against the convolutions of `ContextModel.walk`."""
    rng, step = np.random.default_rng(rows), 90
    hyper = rng.integers(-9, 9, (2, 4, -(-rows // 2), -(-columns // 2)))
    prior = tiny_model.hyperprior
    latents = torch.from_numpy(rng.laplace(0.0, 40.0, (2, 256, rows, columns)))

    def rounded(values: torch.Tensor) -> torch.Tensor:
        return torch.floor(values * 1024.0 + 0.5) / 1024.0

    def slow(stage: Stage, mean: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.round((latents[:, stage.first : stage.last] - mean) / 8.0)

    def fast(stage: Stage, mean: torch.Tensor, _: Levels) -> Symbols:
        here = cells_in(stage.cells, rows, columns).ravel()
        part = latents.flatten(2)[:, stage.first : stage.last, here]
        return torch.round((part.transpose(1, 2) - mean) / 8.0).int().numpy()

    with torch.inference_mode():
        found = prior.features(hyper, [step, step], (rows, columns))
        hidden, mean, log_scale = (
            part.permute(0, 3, 1, 2) for part in (found.hidden, found.mean, found.log_scale)
        )
        fineness = torch.full((2, 1, rows, columns), log_q(step) - 2.5, dtype=torch.float64)
        q = torch.full((2, 1, 1, 1), dyadic_q(step), dtype=torch.float64)
        guide = torch.cat([hidden / 1024, fineness], 1)
        expected = prior.context.walk((mean, log_scale / 1024), guide, q, slow, rounded)
        walked = prior.walk(found, [step, step], fast)
    given = walked.symbols, walked.mean, walked.log_scale
    for one, other in zip(given, (*expected[:2], expected[2].clamp(-6.0, 7.0)), strict=True):
        np.testing.assert_array_equal(one.transpose(0, 3, 1, 2), other)
    np.testing.assert_array_equal(walked.levels, scale_levels(walked.log_scale, step))
    assert expected[0].abs().max() > 3


def test_company_changes_no_byte_and_no_latent(tiny_model: CodecModel):
    tiles = [a_tile(tiny_model, seed) for seed in range(3)]
    code_tiles(tiles, 96)
    alone = [a_tile(tiny_model, seed).payload(96) for seed in range(3)]
    assert [tile.payload(96) for tile in tiles] == alone
    steps = (96, 96, 80)
    payloads = [
        TilePayload(a_tile(tiny_model, n).payload(s), s, SHAPE) for n, s in enumerate(steps)
    ]
    together = decode_tiles(tiny_model, payloads)
    for found, one in zip(together, payloads, strict=True):
        assert not isinstance(found, BitstreamError)
        again = decoded(tiny_model, one.payload, one.step)
        np.testing.assert_array_equal(found.latents, again.latents)
        assert np.abs(found.latents - again.coarse.mean).max() > 0


def test_the_decoder_finds_the_encoders_symbols(tiny_model: CodecModel):
    tile = a_tile(tiny_model)
    found = decoded(tiny_model, tile.payload(70), 70).coarse
    expected = tile.coarse(70)
    np.testing.assert_array_equal(found.symbols, expected.symbols)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.log_scale, expected.log_scale)


def test_one_bad_payload_spoils_no_other(tiny_model: CodecModel):
    good = a_tile(tiny_model).payload(96)
    found = decode_tiles(
        tiny_model, [TilePayload(good[:-3], 96, SHAPE), TilePayload(good, 96, SHAPE)]
    )
    assert isinstance(found[0], BitstreamError)
    assert not isinstance(found[1], BitstreamError)


def test_guesses_are_close_around_a_coded_step(tiny_model: CodecModel):
    tile = a_tile(tiny_model)
    assert tile.estimated_bits(96) > 0
    tile.bits(96)
    assert tile.estimated_bits(96) == pytest.approx(tile.bits(96))
    guessed, squared = tile.estimated_bits(90), tile.estimated_squared_error(90)
    assert guessed == pytest.approx(tile.bits(90), rel=0.05)
    assert squared == pytest.approx(tile.squared_error(90), rel=0.15)


def test_the_rate_is_found_from_guesses(tiny_model: CodecModel):
    tiles = [a_tile(tiny_model, seed) for seed in range(6)]
    wanted = sum(len(tile.payload(88)) + 17 for tile in tiles)
    steps = steps_for(tiles, wanted)
    assert np.mean(steps) == pytest.approx(88, abs=1.5)
    assert steps == pytest.approx([88] * 6, abs=MOVED_STEPS)


def test_steps_are_dyadic_and_close_to_their_exponential():
    for step in range(0, STEPS, 5):
        q = dyadic_q(step)
        assert Decimal(q) * 1024 % 1 == 0
        assert q == pytest.approx(math.exp(log_q(step)), abs=2**-11)


def test_sizes_of_symbols_round_alike_wherever_the_logarithm_is_good_to_a_billionth():
    exact = np.log1p(np.arange(256.0)) * 1024
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6


def test_weights_without_context_still_load():
    from engine.codec.network import Widths

    network = DropoutAutoencoder(Widths(256, 4, 8, 8, 8, context=False))
    model = CodecModel.from_bytes(freeze(network))
    assert len(model.network.context.stages) == 1
    tile = a_tile(model)
    found = decoded(model, tile.payload(90), 90)
    np.testing.assert_array_equal(found.coarse.symbols, tile.coarse(90).symbols)
