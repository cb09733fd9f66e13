"""Training of both networks: by steps, repeatable from a seed, resumable after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.cosmicrays.patches import Batch, PatchSource
from engine.cosmicrays.unet import UNet2Sigmoid, folded
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.errors import ModelError

WARM_UP = 0.05
GRADIENT_LIMIT = 1.0
CHECKPOINT_EVERY = 100
SECOND_STAGE_SEED = 1_000

Log = Callable[[int, float], None]


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to train; the defaults are those of the plain network.

    `kl_pixels` is N in BCE + beta * KL / N; it counts every training pixel, of the plain network
    too where the means come from one. `precision` is that of the convolutions; bfloat16 is
    fast only on processors that have it and for widths that are multiples of 16.
    """

    steps: int = 2400
    patches: int = 8
    patch_px: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0
    beta: float = 1.0
    sigma_learning_rate: float = 2e-2
    kl_pixels: float = 1.0
    precision: Literal["bfloat16", "float32"] = "bfloat16"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.patches < 1 or self.patch_px < 2 or self.patch_px % 2:
            raise ValueError("steps and patches must be >= 1, and patch_px even and >= 2")

    def rate_at(self, step: int) -> float:
        """Share of the learning rate at a step: linear warm-up, then half a cosine to zero."""
        progress = step / self.steps
        if progress < WARM_UP:
            return (progress + 1 / self.steps) / WARM_UP
        return 0.5 * (1 + float(np.cos(np.pi * (progress - WARM_UP) / (1 - WARM_UP))))


def second_plan(steps: int, seed: int, *, first_steps: int) -> TrainingPlan:
    """The plan of a second stage, the same for the plain network and the Bayesian one.

    It starts from a network that had `first_steps`, and draws other patches than those.
    """
    plan = TrainingPlan(
        steps=steps, learning_rate=3e-4, weight_decay=0.0, seed=seed + SECOND_STAGE_SEED
    )
    pixels = (first_steps + steps) * plan.patches * plan.patch_px**2
    return replace(plan, kl_pixels=float(pixels))


@dataclass(frozen=True)
class Checkpoint:
    """Where a training run keeps its state, and whether to start from what is there."""

    path: Path
    resume: bool = False


def train_unet(
    source: PatchSource,
    plan: TrainingPlan,
    *,
    hidden: int = 32,
    checkpoint: Checkpoint | None = None,
    log: Log | None = None,
) -> UNet2Sigmoid:
    """Train the plain network with batch normalisation, and return it folded.

    The same source, plan and number of threads give the same weights on the same machine.
    """
    torch.manual_seed(plan.seed)
    net = UNet2Sigmoid(hidden, batch_norm=True)
    net.expect_rare_hits()
    optimiser = torch.optim.AdamW(
        net.parameters(), plan.learning_rate, betas=(0.9, 0.99), weight_decay=plan.weight_decay
    )
    _fit(net, optimiser, source, plan, checkpoint, log)
    return folded(net.eval())


def tune_unet(
    source: PatchSource,
    plan: TrainingPlan,
    start: UNet2Sigmoid,
    *,
    checkpoint: Checkpoint | None = None,
    log: Log | None = None,
    net: UNet2Sigmoid | None = None,
) -> UNet2Sigmoid:
    """Train a plain network on, from a trained and folded one.

    `net` is an empty network of the same parameters that behaves otherwise in training.
    """
    torch.manual_seed(plan.seed)
    net = net or UNet2Sigmoid(start.hidden)
    net.load_state_dict(start.state_dict())
    optimiser = torch.optim.AdamW(
        net.parameters(), plan.learning_rate, weight_decay=plan.weight_decay
    )
    _fit(net, optimiser, source, plan, checkpoint, log)
    return net.eval()


def train_variational(
    source: PatchSource,
    plan: TrainingPlan,
    start: UNet2Sigmoid,
    *,
    checkpoint: Checkpoint | None = None,
    log: Log | None = None,
) -> UNet2SigmoidVI:
    """Train the Bayesian network, its means starting from a trained plain one."""
    net = UNet2SigmoidVI(start.hidden)
    net.start_from(start)
    rhos = [layer.rho for _, layer in net.variational_layers()]
    others = [value for name, value in net.named_parameters() if not name.endswith(".rho")]
    optimiser = torch.optim.Adam(
        [
            {"params": others, "lr": plan.learning_rate},
            {"params": rhos, "lr": plan.sigma_learning_rate},
        ]
    )
    _fit(net, optimiser, source, plan, checkpoint, log)
    return net.eval()


def _fit(
    net: UNet2Sigmoid,
    optimiser: torch.optim.Optimizer,
    source: PatchSource,
    plan: TrainingPlan,
    checkpoint: Checkpoint | None,
    log: Log | None,
) -> None:
    net.channels_last().train()
    peak_rates = [float(group["lr"]) for group in optimiser.param_groups]
    start = _restored(net, optimiser, plan, checkpoint)
    for step in range(start, plan.steps):
        for group, peak in zip(optimiser.param_groups, peak_rates, strict=True):
            group["lr"] = peak * plan.rate_at(step)
        loss = _step(net, optimiser, source, plan, step)
        if log is not None:
            log(step + 1, loss)
        if checkpoint is not None and (step + 1) % CHECKPOINT_EVERY == 0:
            _save(checkpoint.path, net, optimiser, plan, step + 1)


def _step(
    net: UNet2Sigmoid,
    optimiser: torch.optim.Optimizer,
    source: PatchSource,
    plan: TrainingPlan,
    step: int,
) -> float:
    """One update; returns the cross-entropy a pixel. All randomness hangs on (seed, step)."""
    batch = source.batch(np.random.default_rng([plan.seed, step]), plan.patches, plan.patch_px)
    if isinstance(net, UNet2SigmoidVI):
        net.seed_noise(plan.seed * 1_000_003 + step)
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bfloat16"):
        logits = net.logits(torch.from_numpy(batch.x).to(memory_format=torch.channels_last))
    cross_entropy = _cross_entropy(logits.float(), batch)
    loss = cross_entropy
    if isinstance(net, UNet2SigmoidVI):
        loss = cross_entropy + plan.beta * net.kl() / plan.kl_pixels
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(_clipped(net), GRADIENT_LIMIT)
    optimiser.step()
    return float(cross_entropy.detach())


def _cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Mean binary cross-entropy over the pixels that count, in nats."""
    weight = torch.from_numpy(batch.weight)
    summed = functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(batch.truth), weight=weight, reduction="sum"
    )
    return summed / weight.sum().clamp_min(1.0)


def _clipped(net: UNet2Sigmoid) -> list[nn.Parameter]:
    """Gradients of rho are many and small: they are left out of the norm that is limited."""
    return [value for name, value in net.named_parameters() if not name.endswith(".rho")]


def _save(
    path: Path, net: UNet2Sigmoid, optimiser: torch.optim.Optimizer, plan: TrainingPlan, step: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    state = {
        "net": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "plan": repr(plan),
        "step": step,
    }
    torch.save(state, unfinished)
    unfinished.replace(path)


def _restored(
    net: UNet2Sigmoid,
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    checkpoint: Checkpoint | None,
) -> int:
    """Load the state of an earlier run of the same plan; returns the step to go on from."""
    if checkpoint is None or not checkpoint.resume or not checkpoint.path.is_file():
        return 0
    state = torch.load(checkpoint.path, map_location="cpu", weights_only=True)
    if state["plan"] != repr(plan):
        raise ModelError(
            f"{checkpoint.path} belongs to another plan ({state['plan']}): "
            "train without --resume, or with the same steps and seed"
        )
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
