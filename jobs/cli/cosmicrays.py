"""`skysieve train cosmicrays`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.options import Resume, WeightsFolder
from jobs.cli.output import AsJson, progress, report

if TYPE_CHECKING:
    from engine.cosmicrays.patches import PatchSource
    from engine.cosmicrays.training import Checkpoint, Log
    from engine.cosmicrays.unet import UNet2Sigmoid

UNET_STEPS, VI_STEPS = 1800, 700
LOG_EVERY = 50


def train_cosmicrays(
    bayesian: Annotated[
        bool, typer.Option("--bayesian", help="Train the Bayesian network, from the plain one.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help=f"{UNET_STEPS}, Bayesian {VI_STEPS} by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, start and noise.")] = 0,
    out: WeightsFolder = None,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train a cosmic-ray network on simulations and, where SKYSIEVE_DATA points, real frames."""
    import torch

    from engine.cards import WEIGHTS
    from engine.cosmicrays.curriculum import described_data, training_source
    from engine.cosmicrays.publishing import Training, publish
    from engine.cosmicrays.training import Checkpoint
    from jobs.settings import load_settings

    torch.set_num_threads(1)
    folder, root = out or WEIGHTS, load_settings().data
    data = root / "cosmicrays" if root is not None else None
    name = "cosmicrays-vi" if bayesian else "cosmicrays-unet"
    count = steps or (VI_STEPS if bayesian else UNET_STEPS)
    checkpoint = Checkpoint(Path(".checkpoints") / f"{name}.pt", resume)
    source = training_source(seed, data)
    train = _train_bayesian if bayesian else _train_plain
    net = train(source, count, seed, folder, checkpoint)
    training = Training(
        name=name,
        data=described_data(data),
        seed=seed,
        steps=count,
        command=_command(bayesian, count, seed),
        device="CPU, one thread",
        trained_at=datetime.now(UTC),
    )
    progress(f"measuring {name} on its hold-outs")
    card = publish(net, training, folder, data)
    facts = {"weights": str(folder / f"{name}.safetensors"), "digest": card.digest}
    report({**facts, **card.metrics}, as_json=as_json)


def _train_plain(
    source: PatchSource, steps: int, seed: int, _folder: Path, checkpoint: Checkpoint
) -> UNet2Sigmoid:
    from engine.cosmicrays.training import TrainingPlan, train_unet

    plan = TrainingPlan(steps=steps, seed=seed)
    return train_unet(source, plan, checkpoint=checkpoint, log=_log(steps))


def _train_bayesian(
    source: PatchSource, steps: int, seed: int, folder: Path, checkpoint: Checkpoint
) -> UNet2Sigmoid:
    """Start from the plain network in `folder`, or from the shipped one."""
    from engine.cards import WEIGHTS
    from engine.cosmicrays.training import bayesian_plan, train_variational
    from engine.cosmicrays.weights import load_net

    plain = "cosmicrays-unet"
    home = folder if (folder / f"{plain}.json").is_file() else WEIGHTS
    start, card = load_net(plain, home)
    plan = bayesian_plan(steps, seed, plain_steps=int(card.metrics["steps"]))
    return train_variational(source, plan, start, checkpoint=checkpoint, log=_log(steps))


def _log(steps: int) -> Log:
    def log(step: int, loss: float) -> None:
        if step % LOG_EVERY == 0 or step == steps:
            progress(f"step {step} of {steps}: cross-entropy {loss:.5f} nats a pixel")

    return log


def _command(bayesian: bool, steps: int, seed: int) -> str:
    kind = " --bayesian" if bayesian else ""
    return f"skysieve train cosmicrays{kind} --steps {steps} --seed {seed}"
