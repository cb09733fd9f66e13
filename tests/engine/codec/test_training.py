"""Training repeats itself, resumes where it stopped, and learns."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cards import read_card
from engine.codec.augmentation import draw_crops
from engine.codec.corpus import HELD_OUT_RAW, Group, held_out_frames, training_groups
from engine.codec.mapping import SampleMapping
from engine.codec.model import CodecModel
from engine.codec.network import DropoutAutoencoder, TrainingPass, Widths
from engine.codec.publishing import TrainingFacts, publish
from engine.codec.training import Progress, TrainingPlan, rate_distortion_loss, train
from engine.frame import Frame

TINY = Widths(latent=32, hyper=4, fine=8, middle=8, coarse=8)
PLAN = TrainingPlan(steps=4, batch=2, crop=64, report_every=2)


@pytest.fixture(scope="module")
def groups() -> tuple[Group, ...]:
    rng = np.random.default_rng(0)
    images = tuple(rng.normal(0, 30, (70, 80)).astype(np.float32) for _ in range(3))
    return (Group("noise", 1.0, images),)


def state(network: DropoutAutoencoder) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in network.state_dict().values()]


def trained(groups: tuple[Group, ...], plan: TrainingPlan, path: Path, **more: object):
    return train(groups, plan, clock=lambda: 0.0, checkpoint=path, widths=TINY, **more).network


@pytest.mark.slow
def test_the_same_plan_gives_the_same_weights(groups: tuple[Group, ...], tmp_path: Path):
    first = trained(groups, PLAN, tmp_path / "a.pt")
    second = trained(groups, PLAN, tmp_path / "b.pt")
    for mine, yours in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_resuming_gives_what_one_go_gives(groups: tuple[Group, ...], tmp_path: Path):
    whole = trained(groups, PLAN, tmp_path / "whole.pt")

    def stop(now: Progress) -> None:
        if now.step == 2:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        trained(groups, PLAN, tmp_path / "cut.pt", report=stop)
    resumed = trained(groups, PLAN, tmp_path / "cut.pt", resume=True)
    for mine, yours in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_minutes_end_the_schedule_by_the_clock(groups: tuple[Group, ...], tmp_path: Path):
    ticks = itertools.count(0, 20)
    reports: list[Progress] = []
    plan = TrainingPlan(steps=1000, batch=1, crop=64, minutes=1.0)
    found = train(
        groups,
        plan,
        clock=lambda: next(ticks),
        checkpoint=tmp_path / "c.pt",
        widths=TINY,
        report=reports.append,
    )
    assert [now.step for now in reports] == [found.steps] == [3]
    assert found.elapsed_s == 60.0


def test_the_loss_by_hand():
    """Error 2 everywhere, no gradient: bits / pixels + 7 / q^2 * 4."""
    pixels = torch.zeros(1, 1, 8, 8)
    coded = TrainingPass(pixels + 2.0, torch.tensor([96.0]), torch.tensor([32.0]))
    loss, squared = rate_distortion_loss(coded, pixels, torch.tensor([2.0]))
    assert squared.item() == 4.0
    assert loss.item() == pytest.approx(2.0 + 7 / 4 * 4.0)


def test_a_gradient_of_the_error_costs_more_than_a_shift():
    pixels = torch.zeros(1, 1, 8, 8)
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    coded = TrainingPass(ramp, torch.zeros(1), torch.zeros(1))
    loss, squared = rate_distortion_loss(coded, pixels, torch.ones(1))
    assert loss.item() == pytest.approx(7 * (squared.item() + 0.15))


def test_the_untrained_network_is_the_dct_and_returns_the_image():
    network = DropoutAutoencoder(Widths(latent=256, hyper=4, fine=8, middle=8, coarse=8)).eval()
    pixels = torch.randn(1, 1, 64, 96) * 30
    with torch.no_grad():
        latents = network.analyse(pixels)
        again = network.synthesise(latents, torch.full((1, 1, 4, 6), 2.5))
    torch.testing.assert_close(again, pixels, atol=1e-3, rtol=0)
    assert float(latents.square().sum()) == pytest.approx(float(pixels.square().sum()), rel=1e-4)


def test_crops_are_square_bounded_and_repeatable(groups: tuple[Group, ...]):
    first = draw_crops(groups, 20, 96, np.random.default_rng(1))
    second = draw_crops(groups, 20, 96, np.random.default_rng(1))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (20, 1, 96, 96)
    assert np.abs(first).max() <= 128 * 1.3


@pytest.mark.parametrize("kind", ["affine", "asinh"])
def test_mappings_return_what_they_took(kind: str):
    rng = np.random.default_rng(0)
    samples = rng.normal(100, 5, (50, 50)).astype(np.float32)
    samples[0, 0] = 5000.0 if kind == "asinh" else 120.0
    mapping = SampleMapping.of(samples, "float32")
    assert mapping.kind == kind
    mapped = mapping.forward(samples)
    assert (mapped.min(), mapped.max()) == (pytest.approx(-128), pytest.approx(127, abs=1e-3))
    np.testing.assert_allclose(mapping.backward(mapped), samples, rtol=2e-4)
    nudge = (mapping.backward(mapped + 0.01) - mapping.backward(mapped - 0.01)) / 0.02
    inside = np.abs(mapped) < 126
    np.testing.assert_allclose(mapping.slope(mapped)[inside], nudge[inside], rtol=1e-2)


def test_simulated_training_and_held_out_frames_differ():
    held_out = held_out_frames(None, 1)
    assert set(held_out) == {"simulated_ground", "simulated_sky"}
    assert {frame.sample_type for frames in held_out.values() for frame in frames} == {"uint8"}


@pytest.mark.data
@pytest.mark.slow
def test_no_held_out_image_is_trained_on(data_root: Path):
    trained_on = {image.tobytes() for group in training_groups(data_root) for image in group.images}
    held_out = held_out_frames(data_root, 12)
    assert set(held_out) >= {"landmarks", "rover", "raw_mars", "other_body"}
    for name, frames in held_out.items():
        for frame in frames:
            mapped = SampleMapping.of(frame.pixels, frame.sample_type).forward(frame.pixels)
            assert mapped.tobytes() not in trained_on, (name, frame.origin.object_id)
    raw = [frame.origin.object_id for frame in held_out["raw_mars"]]
    assert all(any(part in name for part in HELD_OUT_RAW) for name in raw)
    assert len(raw) == 7


@pytest.mark.slow
def test_a_published_model_has_a_card_that_fits_it(
    groups: tuple[Group, ...], ground: Frame, tmp_path: Path
):
    network = DropoutAutoencoder(TINY)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    facts = TrainingFacts(steps=0, seconds=0.0, seed=3, command="none", trained_at=now)
    publish(network, facts, groups, {"ground": [ground]}, tmp_path)
    card = read_card("codec", tmp_path)
    assert card.digest == CodecModel.load(tmp_path).digest
    figures = card.metrics["held_out_8_bit_at_0.5_bpp"]["ground"]
    assert figures["frames"] == 1
    assert 0.3 < figures["bpp"] <= 0.5
    assert figures["psnr_db"] > 15
