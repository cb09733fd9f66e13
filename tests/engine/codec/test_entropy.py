"""Integer tables, the range coder, and the hyper-decoder that chooses between them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.codec.context import Stage
from engine.codec.entropy import EntropyModels, PayloadReader, PayloadWriter
from engine.codec.hyperprior import FixedPointHyperprior, scale_levels
from engine.codec.model import CodecModel
from engine.codec.network import DropoutAutoencoder
from engine.codec.stagecoding import Levels, Symbols
from engine.codec.steps import STEPS, hyper_regime, log_q
from engine.codec.tables import LEVELS, TOTAL, SymbolTables, gaussian_tables
from engine.errors import BitstreamError


@pytest.fixture(scope="module")
def models() -> EntropyModels:
    return EntropyModels(gaussian_tables())


def test_every_table_sums_to_one_exactly(models: EntropyModels):
    for level in range(LEVELS):
        probabilities = models.tables.probabilities(level)
        assert probabilities.sum() == 1.0
        assert (probabilities * TOTAL == np.rint(probabilities * TOTAL)).all()
        np.testing.assert_array_equal(probabilities[:-1], probabilities[-2::-1])


def test_a_table_that_does_not_sum_is_refused():
    with pytest.raises(ValueError, match="sum to 16777216"):
        SymbolTables((np.array([5, 1, 1]),))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 400), st.sampled_from([0.3, 5.0, 3000.0, 1e6]))
def test_symbols_come_back(models: EntropyModels, seed: int, count: int, spread: float):
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, LEVELS, (2, count))
    symbols = np.clip(rng.normal(0, spread, (2, count)), -(2**20), 2**20 - 1).astype(np.int32)
    writer = PayloadWriter(models)
    writer.write(symbols, levels)
    writer.write(symbols[::-1], levels[::-1])
    reader = PayloadReader(models, writer.finish())
    np.testing.assert_array_equal(reader.read(levels), symbols)
    np.testing.assert_array_equal(reader.read(levels[::-1]), symbols[::-1])


def test_the_payload_takes_what_the_tables_say(models: EntropyModels):
    rng = np.random.default_rng(2)
    levels = rng.integers(0, LEVELS, 20_000)
    scales = np.exp(-2586 / 1024 + levels / 8)
    symbols = np.rint(rng.normal(0, scales)).astype(np.int32)
    writer = PayloadWriter(models)
    writer.write(symbols, levels)
    told = float(models.tables.bits(symbols, levels).sum())
    assert 8 * len(writer.finish()) == pytest.approx(told, rel=2e-3)


def test_the_bits_of_all_symbols_are_the_sum_of_each(models: EntropyModels):
    rng = np.random.default_rng(5)
    levels = rng.integers(0, LEVELS, (30, 40)).astype(np.uint8)
    symbols = np.rint(rng.normal(0, 3, (30, 40))).astype(np.int32)
    symbols[0, :3] = 2000, -5000, 0
    told = float(models.tables.bits(symbols, levels).sum(dtype=np.float64))
    assert models.tables.total_bits(symbols, levels) == pytest.approx(told, rel=1e-12)
    silent = np.zeros_like(symbols)
    told = float(models.tables.bits(silent, levels).sum(dtype=np.float64))
    assert models.tables.total_bits(silent, levels) == pytest.approx(told, rel=1e-12)


def test_quantising_chooses_as_a_symbol_at_a_time_would(models: EntropyModels):
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0, 30, 300), [0.5, -0.5, 1.5, 2.5, 3000.2, -1e9]])
    levels = rng.integers(0, LEVELS, values.size)
    for value, level, found in zip(
        values, levels, models.tables.quantise(values, levels), strict=True
    ):
        nearest = int(np.clip(np.rint(value), -(2**19), 2**19))
        smaller = nearest - int(np.sign(nearest))
        saved = np.subtract(
            *models.tables.bits(np.array([nearest, smaller]), np.array([level] * 2))
        )
        added = (abs(value) - abs(smaller)) ** 2 - (abs(value) - abs(nearest)) ** 2
        assert found == (smaller if saved > 14 * added else nearest)


def test_a_payload_of_broken_words_is_refused(models: EntropyModels):
    with pytest.raises(BitstreamError, match="whole words, got 3"):
        PayloadReader(models, b"abc")


def test_quantising_moves_at_most_one_step_towards_zero(models: EntropyModels):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 4, 5000)
    levels = rng.integers(0, LEVELS, 5000)
    symbols = models.tables.quantise(values, levels)
    nearest = np.rint(values)
    assert set(np.abs(nearest) - np.abs(symbols)) == {0.0, 1.0}
    assert (
        models.tables.bits(symbols, levels).sum()
        < models.tables.bits(nearest.astype(int), levels).sum()
    )


def test_expected_distortion_matches_drawn_values(models: EntropyModels):
    rng = np.random.default_rng(4)
    for level in (4, 20, 40):
        values = rng.normal(0, np.exp(-2586 / 1024 + level / 8), 200_000)
        error = values - models.tables.quantise(values, np.full(values.shape, level))
        assert np.square(error).mean() == pytest.approx(
            models.tables.distortions()[level], rel=0.03
        )


def test_a_payload_is_the_same_on_every_machine(models: EntropyModels):
    """A golden payload: a change here makes every file unreadable."""
    symbols = (np.arange(300) * 7919 % 41 - 20).astype(np.int32)
    levels = np.arange(300) * 31 % LEVELS
    writer = PayloadWriter(models)
    writer.write(symbols, levels)
    payload = writer.finish()
    assert (len(payload), hashlib.sha256(payload).hexdigest()[:16]) == (688, "02356656b3739c02")


@pytest.mark.parametrize("step", [0, 100, 120, 200, 255])
def test_the_hyper_decoder_agrees_with_plain_numpy_bit_for_bit(tiny_model: CodecModel, step: int):
    symbols = np.random.default_rng(step).integers(-30, 30, (4, 5, 6))
    before = torch.get_num_threads()
    answers = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        answers.append(tiny_model.hyperprior.features(symbols[None], [step], (10, 12)))
    torch.set_num_threads(before)
    reference = in_numpy(tiny_model.network, symbols, step)
    for found in answers:
        np.testing.assert_array_equal(found.mean[0].permute(2, 0, 1), reference[0])
        np.testing.assert_array_equal(found.log_scales()[0].transpose(2, 0, 1), reference[1])


def in_numpy(
    network: DropoutAutoencoder, symbols: NDArray[np.int64], step: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The fixed-point hyper-decoder once more, summed in another order."""
    hidden = symbols.astype(float) * 2 ** hyper_regime(step) / 4
    up, mix, out = (
        (fixed(layer.weight, 14), fixed(layer.bias, 14))
        for layer in (network.hyper_up, network.hyper_mix, network.hyper_out)
    )
    rows, columns = hidden.shape[1:]
    wide = np.zeros((up[0].shape[1], 2 * rows + 2, 2 * columns + 2))
    for i in range(4):
        for j in range(4):
            share = np.einsum("chw,cd->dhw", hidden, up[0][:, :, i, j])
            wide[:, i : i + 2 * rows : 2, j : j + 2 * columns : 2] += share
    hidden = settled(wide[:, 1:-1, 1:-1] + up[1][:, None, None])
    padded = np.pad(hidden, ((0, 0), (1, 1), (1, 1)))
    mixed = np.zeros_like(hidden)
    for i in range(3):
        for j in range(3):
            window = padded[:, i : i + 2 * rows, j : j + 2 * columns]
            mixed += np.einsum("chw,dc->dhw", window, mix[0][:, :, i, j])
    hidden = settled(mixed + mix[1][:, None, None])
    last = np.einsum("chw,dc->dhw", hidden, out[0][:, :, 0, 0]) + out[1][:, None, None]
    mean, log_scale = np.split(np.floor(last * 1024 + 0.5) / 1024, 2)
    prior = fixed(network.prior_log_scale, 10)[0]
    mean = mean * 20 + fixed(network.prior_mean, 10)[0]
    return mean, log_scale + prior


def fixed(values: torch.Tensor, bits: int) -> NDArray[np.float64]:
    return np.floor(values.detach().numpy().astype(float) * 2**bits + 0.5) / 2**bits


def settled(hidden: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.floor(hidden * 1024 + 0.5) / 1024, 0, 1024)


def test_levels_follow_the_scale_in_steps_of_an_eighth():
    log_scale = np.log(0.08) + np.array([-3.0, 0.0, 0.125, 1.0, 50.0])
    level = scale_levels(log_scale + log_q(64), 64)
    np.testing.assert_array_equal(level, [0, 0, 1, 8, LEVELS - 1])


def test_steps_grow_evenly_and_regimes_only_coarsen():
    assert np.diff([log_q(step) for step in range(STEPS)]) == pytest.approx(1 / 32)
    regimes = [hyper_regime(step) for step in range(STEPS)]
    assert regimes == sorted(regimes)
    assert set(regimes) == {0, 1, 2}


def test_a_hyperprior_of_wild_weights_stays_bounded():
    network = DropoutAutoencoder()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1e6)
    prior = FixedPointHyperprior(network)
    features = prior.features(np.full((1, 12, 2, 2), 4000), [0], (4, 4))

    def code(_: Stage, mean: torch.Tensor, __: Levels) -> Symbols:
        return np.full(mean.shape, 500_000, np.int32)

    with torch.inference_mode():
        walked = prior.walk(features, [0], code)
    assert np.isfinite(walked.mean).all()
    assert -6 <= walked.log_scale.min() <= walked.log_scale.max() <= 7
