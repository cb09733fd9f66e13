"""Training of the codec: rate, squared error and gradient error, for all steps q at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.codec.augmentation import draw_crops
from engine.codec.corpus import Group
from engine.codec.network import TRAINED_Q, DropoutAutoencoder, TrainingPass, Widths

DISTORTION_WEIGHT = 7.0
GRADIENT_WEIGHT = 0.15
LEAST_LOSS = 0.05
WARM_UP_STEPS = 200
FINAL_RATE_SHARE = 0.01

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train; `minutes`, when given, ends the schedule early by the clock passed in."""

    steps: int = 30_000
    batch: int = 8
    crop: int = 128
    seed: int = 0
    learning_rate: float = 6e-4
    minutes: float | None = None
    report_every: int = 250


@dataclass(frozen=True)
class Progress:
    """Means since the last report; `elapsed_s` by the clock passed in."""

    step: int
    elapsed_s: float
    loss: float
    bpp: float
    hyper_bpp: float
    rmse: float


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode, and how long it took in all, resumed parts included."""

    network: DropoutAutoencoder
    steps: int
    elapsed_s: float


def train(
    groups: tuple[Group, ...],
    plan: TrainingPlan,
    *,
    clock: Callable[[], float],
    checkpoint: Path,
    resume: bool = False,
    widths: Widths | None = None,
    start: DropoutAutoencoder | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a network on `groups`, from the weights of `start` where one is given.

    The same plan, groups and torch version give the same weights as long as `minutes` is None;
    `clock` returns seconds and is read for progress and `minutes` alone. The state is written to
    `checkpoint` with every report; `resume` continues from there with the same random numbers.
    """
    run = _Run(groups, plan, widths, start)
    if resume and checkpoint.is_file():
        run.load(checkpoint)
    started = clock() - run.elapsed_s
    recent: list[Figures] = []
    while (share := _schedule_share(run.step, run.elapsed_s, plan)) < 1.0:
        recent.append(run.advance(share))
        run.elapsed_s = clock() - started
        finished = _schedule_share(run.step, run.elapsed_s, plan) >= 1.0
        if finished or run.step % plan.report_every == 0:
            run.save(checkpoint)
            if report is not None:
                report(Progress(run.step, run.elapsed_s, *np.mean(recent, axis=0).tolist()))
            recent.clear()
    return Trained(run.network.eval(), run.step, run.elapsed_s)


def rate_distortion_loss(coded: TrainingPass, pixels: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and the mean squared error, both per image, shape (B,).

    L = bpp + (7 / q^2) (MSE + 0.15 |Sobel(error) / 8|^2): a step of the quantiser is worth the same
    number of bits at every rate (6.6 bits per squared step at high rate, where D = q^2 / 12).
    """
    error = coded.reconstruction - pixels
    squared = error.square().mean((1, 2, 3))
    gradient = _sobel(error).square().mean((1, 2, 3)) + _sobel(error.mT).square().mean((1, 2, 3))
    bits = (coded.latent_bits + coded.hyper_bits) / pixels[0].numel()
    weight = DISTORTION_WEIGHT / q.square()
    return bits + weight * (squared + GRADIENT_WEIGHT * gradient), squared


class _Run:
    """The state of one training: network, optimiser, random numbers, place in the schedule."""

    def __init__(
        self,
        groups: tuple[Group, ...],
        plan: TrainingPlan,
        widths: Widths | None,
        start: DropoutAutoencoder | None,
    ) -> None:
        torch.manual_seed(plan.seed)
        self.rng = np.random.default_rng(plan.seed)
        self.groups, self.plan = groups, plan
        self.network = DropoutAutoencoder(widths if start is None else start.widths)
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.network.train()
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self.step, self.elapsed_s = 0, 0.0

    def advance(self, share: float) -> Figures:
        """Take one step; return loss, bpp, hyper bpp and RMSE."""
        plan = self.plan
        warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        decay = FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * 0.5 * (1 + math.cos(math.pi * share))
        self.optimiser.param_groups[0]["lr"] = plan.learning_rate * warm * decay
        pixels = torch.from_numpy(draw_crops(self.groups, plan.batch, plan.crop, self.rng))
        lowest, highest = (math.log(q) for q in TRAINED_Q)
        drawn = self.rng.uniform(lowest, highest, plan.batch)
        log_q = torch.from_numpy(drawn.astype(np.float32))
        with torch.autocast("cpu", torch.bfloat16):
            coded = self.network(pixels, log_q)
        losses, squared = rate_distortion_loss(coded, pixels, torch.exp(log_q))
        loss = torch.log(losses + LEAST_LOSS).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        hyper = coded.hyper_bits.mean() / pixels[0].numel()
        total = hyper + coded.latent_bits.mean() / pixels[0].numel()
        figures = torch.stack([loss, total, hyper, squared.mean().sqrt()])
        return np.asarray(figures.detach().double().numpy())

    def save(self, path: Path) -> None:
        """Write everything needed to continue, under a temporary name first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "numpy": self.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
            "plan": asdict(self.plan),
        }
        unfinished = path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint that `save` wrote."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])


def _sobel(error: Tensor) -> Tensor:
    """Sobel derivative along the last axis, divided by 8, away from the border."""
    across = error[..., 2:] - error[..., :-2]
    return (across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :]) / 8.0


def _schedule_share(step: int, elapsed_s: float, plan: TrainingPlan) -> float:
    by_steps = step / plan.steps
    if plan.minutes is None:
        return by_steps
    return max(by_steps, elapsed_s / (60.0 * plan.minutes))
