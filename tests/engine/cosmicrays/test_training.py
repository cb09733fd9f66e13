"""Training: repeatable, resumable, and better after than before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cosmicrays.bases import Base
from engine.cosmicrays.dropout import UNet2SigmoidDropout
from engine.cosmicrays.hits import HitLibrary
from engine.cosmicrays.patches import PatchSource
from engine.cosmicrays.recipes import RECIPES, chain, plan_of
from engine.cosmicrays.training import (
    Checkpoint,
    TrainingPlan,
    second_plan,
    train_unet,
    train_variational,
    tune_unet,
)
from engine.errors import ModelError

PLAN = TrainingPlan(steps=30, patches=2, patch_px=32, learning_rate=1e-2, precision="float32")


@pytest.fixture(scope="module")
def source() -> PatchSource:
    rng = np.random.default_rng(4)
    pixels = rng.normal(100, 10, (64, 64)).astype(np.float32)
    base = Base.of(pixels, 5.0, np.zeros(pixels.shape, bool))
    hits = HitLibrary("dots", (np.full((2, 2), 400, np.float32), np.full((1, 4), 300, np.float32)))
    return PatchSource([[base]], [1.0], hits.draw)


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for value in net.state_dict().values()])


def test_loss_falls_and_hits_stand_out(source: PatchSource) -> None:
    losses: list[float] = []
    net = train_unet(
        source, replace(PLAN, steps=80), hidden=4, log=lambda _, loss: losses.append(loss)
    )
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    batch = source.batch(np.random.default_rng(99), 4, 32)
    with torch.inference_mode():
        p = net(torch.from_numpy(batch.x)).numpy()
    assert p[batch.truth == 1].mean() > 5 * p[(batch.truth == 0) & (batch.weight == 1)].mean()


def test_the_same_seed_gives_the_same_weights(source: PatchSource) -> None:
    plan = replace(PLAN, steps=5)
    first, again = (train_unet(source, plan, hidden=2) for _ in range(2))
    other = train_unet(source, replace(plan, seed=1), hidden=2)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("bayesian", [False, True])
def test_a_stopped_run_resumes_to_the_same_weights(
    source: PatchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bayesian: bool
) -> None:
    monkeypatch.setattr("engine.cosmicrays.training.CHECKPOINT_EVERY", 4)
    plan = replace(PLAN, steps=8, kl_pixels=1e4)
    start = train_unet(source, replace(PLAN, steps=2), hidden=2)

    def train(checkpoint: Checkpoint | None, stop: int = 99) -> torch.nn.Module:
        def log(step: int, _: float) -> None:
            if step == stop:
                raise KeyboardInterrupt("stopped")

        if bayesian:
            return train_variational(source, plan, start, checkpoint=checkpoint, log=log)
        return train_unet(source, plan, hidden=2, checkpoint=checkpoint, log=log)

    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(Checkpoint(path), stop=6)
    assert torch.equal(weights(train(Checkpoint(path, resume=True))), weights(train(None)))


def test_a_checkpoint_of_another_plan_is_refused(
    source: PatchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cosmicrays.training.CHECKPOINT_EVERY", 1)
    path = tmp_path / "run.pt"
    train_unet(source, replace(PLAN, steps=1), hidden=2, checkpoint=Checkpoint(path))
    with pytest.raises(ModelError, match="belongs to another plan"):
        train_unet(source, PLAN, hidden=2, checkpoint=Checkpoint(path, resume=True))


def test_a_heavy_prior_pulls_the_posterior_towards_it(source: PatchSource) -> None:
    start = train_unet(source, replace(PLAN, steps=5), hidden=2)
    plan = replace(PLAN, steps=25, learning_rate=1e-3, sigma_learning_rate=0.1)
    light = train_variational(source, replace(plan, kl_pixels=1e9), start)
    heavy = train_variational(source, replace(plan, kl_pixels=1.0), start)
    assert heavy.kl() < 0.5 * light.kl()


def test_the_learning_rate_warms_up_and_fades() -> None:
    plan = TrainingPlan(steps=100)
    rates = [plan.rate_at(step) for step in range(100)]
    assert rates[0] < rates[2] < rates[4] <= 1
    assert max(rates) == 1
    assert rates[-1] < 0.001


def test_the_kl_counts_pixels_of_both_stages() -> None:
    plan = second_plan(10, seed=3, first_steps=100)
    assert plan.kl_pixels == (100 + 10) * 8 * 128**2
    assert (plan.steps, plan.beta) == (10, 1.0)
    assert plan.seed != 3


def test_a_plan_needs_even_patches() -> None:
    with pytest.raises(ValueError, match="patch_px even"):
        TrainingPlan(patch_px=33)


def test_tuning_goes_on_from_where_it_starts(source: PatchSource) -> None:
    start = train_unet(source, replace(PLAN, steps=5), hidden=2)
    still = tune_unet(source, replace(PLAN, steps=1, learning_rate=0.0, weight_decay=0.0), start)
    moved = tune_unet(source, replace(PLAN, steps=3), start)
    assert torch.equal(weights(still), weights(start))
    assert not torch.equal(weights(moved), weights(start))


def test_dropout_draws_leave_channels_out_and_average_to_the_network() -> None:
    net = UNet2SigmoidDropout(8).eval()
    draws = [net.draw(torch.Generator().manual_seed(seed)) for seed in range(200)]
    kernels = torch.stack([one.up.weight for one in draws])
    assert torch.equal(draws[0].enter[0].weight, net.enter[0].weight)
    assert 0.05 < float((kernels[:, :, 0, 0, 0] == 0).float().mean()) < 0.15
    assert torch.allclose(
        kernels.mean(0), net.up.weight, atol=0.15 * float(net.up.weight.detach().abs().max())
    )


def test_every_recipe_starts_from_nothing_and_ends_at_its_name() -> None:
    for name in RECIPES:
        stages = chain(name)
        assert stages[0].start is None
        assert stages[-1].name == name
        assert all(later.start == earlier.name for earlier, later in pairwise(stages))
    with pytest.raises(ValueError, match="no recipe"):
        chain("other")


def test_plain_and_bayesian_networks_are_trained_alike() -> None:
    for seed in (0, 1, 2):
        plain, bayesian = RECIPES[f"plain-{seed}"], RECIPES[f"vi-{seed}"]
        assert plan_of(plain) == plan_of(bayesian)
        assert plain.start == bayesian.start
