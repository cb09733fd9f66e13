"""What a run says about a frame, and what the uncertainty maps are worth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.cards import WEIGHTS, read_card
from engine.codec.decoding import decode
from engine.codec.encoding import encode
from engine.codec.model import CodecModel
from engine.codec.pipeline import CodecPipeline
from engine.codec.policy import CodecPolicy
from engine.codec.rate import RateTarget
from engine.codec.uncertainty import dropout_deviation, predicted_rmse, rank_correlation
from engine.errors import ModelError, NotApplicable
from engine.frame import Frame, Origin
from engine.metrics.image import rmse
from engine.results import CodecResult
from engine.sky import simulated_frame, simulated_rover_frame


@pytest.fixture(scope="module")
def shipped() -> CodecModel:
    return CodecModel.load()


@pytest.fixture(scope="module")
def result(ground: Frame, tiny_model: CodecModel) -> CodecResult:
    policy = CodecPolicy(bpp=1.0, samples=3, tile=64)
    return CodecPipeline(policy, model=tiny_model).run(ground, np.random.default_rng(0))


def test_the_rate_is_counted_from_the_bytes(result: CodecResult, ground: Frame):
    assert result.bpp == 8 * len(result.bitstream) / ground.pixels.size <= 1.0
    assert result.compression_ratio == pytest.approx(8 / result.bpp)
    assert (result.sample_bits, result.peak, result.samples) == (8, 255.0, 3)


def test_the_figures_are_those_of_the_decoded_bytes(
    result: CodecResult, ground: Frame, tiny_model: CodecModel
):
    decoded = decode(result.bitstream, tiny_model)
    np.testing.assert_array_equal(result.reconstruction, decoded.pixels)
    assert result.rmse == rmse(ground.pixels, decoded.pixels)
    assert result.psnr_db == pytest.approx(20 * np.log10(255 / result.rmse))


def test_tiles_cover_the_frame_and_their_bytes_the_file(result: CodecResult, ground: Frame):
    covered = np.zeros(ground.mask.shape, int)
    for tile in result.tiles:
        covered[tile.y0 : tile.y0 + tile.height, tile.x0 : tile.x0 + tile.width] += 1
    assert (covered == 1).all()
    assert 0 < len(result.bitstream) - sum(tile.bytes for tile in result.tiles) < 60
    total = sum(tile.rmse**2 * tile.height * tile.width for tile in result.tiles)
    assert np.sqrt(total / covered.size) == pytest.approx(result.rmse, rel=1e-5)


def test_maps_have_the_shape_of_the_frame_and_are_positive(result: CodecResult, ground: Frame):
    for image in (result.confidence, result.predicted_rmse):
        assert image.shape == ground.mask.shape
        assert image.dtype == np.float32
        assert (image > 0).all()


def test_a_run_repeats_itself(result: CodecResult, ground: Frame, tiny_model: CodecModel):
    pipeline = CodecPipeline(CodecPolicy(bpp=1.0, samples=3, tile=64), model=tiny_model)
    again = pipeline.run(ground, np.random.default_rng(0))
    other = pipeline.run(ground, np.random.default_rng(1))
    assert again.bitstream == result.bitstream == other.bitstream
    np.testing.assert_array_equal(again.confidence, result.confidence)
    assert (other.confidence != result.confidence).any()


def test_planes_share_one_rate(ground: Frame, tiny_model: CodecModel):
    frame = Frame.of(np.stack([ground.pixels] * 2).astype(np.uint8), Origin("test", "planes"))
    policy = CodecPolicy(bpp=1.0, samples=2, tile=64)
    two = CodecPipeline(policy, model=tiny_model).run(frame, np.random.default_rng(0))
    assert two.bpp == 8 * len(two.bitstream) / frame.pixels.size
    assert two.confidence.shape == frame.mask.shape
    assert len(two.tiles) == 4


def test_small_frames_do_not_apply(tiny_model: CodecModel):
    frame = Frame.of(np.ones((5, 5), np.uint8), Origin("test", "small"))
    with pytest.raises(NotApplicable, match="at least 16 pixels"):
        CodecPipeline(CodecPolicy(), model=tiny_model).run(frame, np.random.default_rng(0))


def test_exact_files_have_no_uncertainty_map(ground: Frame):
    decoded = decode(encode(ground, RateTarget(near=2)))
    with pytest.raises(NotApplicable, match="bounded by 2"):
        predicted_rmse(decoded)
    with pytest.raises(NotApplicable, match="bounded by 2"):
        dropout_deviation(decoded, 2, np.random.default_rng(0))


def test_the_predicted_error_grows_with_the_step(ground: Frame, tiny_model: CodecModel):
    means = [
        predicted_rmse(decode(encode(ground, RateTarget(bpp=bpp), tiny_model), tiny_model)).mean()
        for bpp in (0.5, 1.0, 2.0)
    ]
    assert means == sorted(means, reverse=True)


def test_rank_correlation_of_blocks():
    blocks = np.arange(9, dtype=np.float32).reshape(3, 3)
    image = np.kron(blocks, np.ones((32, 32), np.float32))
    assert rank_correlation(image, image**2) == pytest.approx(1.0)
    assert rank_correlation(image, image.max() - image) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(image[:32], image[:32]))


def test_impossible_policies_are_refused():
    with pytest.raises(ValueError, match="at least 2 samples"):
        CodecPolicy(samples=1)
    with pytest.raises(ValueError, match="bpp must be positive"):
        CodecPolicy(bpp=0.0)


def test_missing_and_foreign_weights_are_named(tmp_path: Path):
    with pytest.raises(ModelError, match="skysieve train codec"):
        CodecModel.load(tmp_path)
    with pytest.raises(ModelError, match="not codec weights"):
        CodecModel.from_bytes(b"nothing of the kind")


def test_the_shipped_weights_fit_their_card_and_their_limit(shipped: CodecModel):
    card = read_card("codec")
    assert card.digest == shipped.digest
    assert card.metrics["stored_bytes"] == (WEIGHTS / "codec.safetensors").stat().st_size < 10e6


@pytest.mark.slow
def test_policies_and_figures_load_no_torch():
    imports = "import sys, engine.codec.policy, engine.metrics.image"
    script = f"{imports}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_shipped_model_is_close_on_ground_it_never_saw(shipped: CodecModel):
    frame = simulated_rover_frame("codec-unseen", 0, size=128).frame
    found = CodecPipeline(CodecPolicy(bpp=1.0, samples=2), model=shipped).run(
        frame, np.random.default_rng(0)
    )
    assert found.psnr_db > 30.0
    assert found.ms_ssim > 0.95
    assert 0.5 < float(found.predicted_rmse.mean()) / found.rmse < 2.0


def test_the_shipped_model_takes_star_fields(shipped: CodecModel):
    frame = simulated_frame("codec-unseen", 0, size=128).frame
    found = CodecPipeline(CodecPolicy(bpp=1.0, samples=2), model=shipped).run(
        frame, np.random.default_rng(0)
    )
    assert found.psnr_db > 30.0
    assert found.bpp <= 1.0
