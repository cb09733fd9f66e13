"""`skysieve train cosmicrays`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobs.cli.options import Resume, WeightsFolder
from jobs.cli.output import AsJson, progress, report
from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.cosmicrays.making import Workshop
    from engine.cosmicrays.recipes import Recipe
    from engine.cosmicrays.training import Log

NetName = Literal["unet", "stis", "vi", "ensemble"]
LOG_EVERY = 50


def train_cosmicrays(
    net: Annotated[
        NetName, typer.Option(help="unet: any instrument; stis: fitted to the STIS CCD.")
    ] = "unet",
    study: Annotated[
        bool, typer.Option("--study", help="Train the networks that only the bench compares.")
    ] = False,
    inpainting: Annotated[
        bool, typer.Option("--inpainting", help="Train the network that fills masked pixels.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every stage, instead of the recipe's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of every stage, instead of the recipe's.")
    ] = None,
    out: WeightsFolder = None,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train a cosmic-ray network on simulations and, where SKYSIEVE_DATA points, real frames."""
    if inpainting:
        from jobs.cli.inpainting import train_inpainting

        train_inpainting(steps, seed or 0, out, as_json=as_json)
        return
    from engine.cards import WEIGHTS
    from engine.cosmicrays.making import Workshop
    from engine.cosmicrays.recipes import STUDY
    from jobs.settings import load_settings

    folder, root = out or WEIGHTS, load_settings().data
    data = root / "cosmicrays" if root is not None else None
    workshop = Workshop(
        data, Path(".checkpoints") / "cosmicrays", _log, steps=steps, seed=seed, resume=resume
    )
    if study:
        for name in STUDY:
            _keep_for_study(workshop, name, folder / "study")
        report({"weights": str(folder / "study"), "nets": ", ".join(STUDY)}, as_json=as_json)
        return
    _publish(workshop, net, folder, as_json=as_json)


def _publish(workshop: Workshop, net: NetName, folder: Path, *, as_json: bool) -> None:
    from engine.cosmicrays.curriculum import described_data
    from engine.cosmicrays.making import seen_by_the_other_fold
    from engine.cosmicrays.publishing import Training, publish
    from engine.cosmicrays.recipes import SHIPPED

    name = f"cosmicrays-{net}"
    parts, data, folds = SHIPPED[name], workshop.data, None
    if net == "stis" and data is None:
        raise UsageError("the STIS network learns from real frames: set SKYSIEVE_DATA")
    nets = tuple(workshop.make(part) for part in parts)
    if net == "stis" and data is not None:
        halves = {fold: workshop.make(f"stis-{fold}") for fold in ("low", "high")}
        folds = seen_by_the_other_fold(halves, data)
    stages = [workshop.stages(part) for part in parts]
    training = Training(
        name=name,
        data=described_data(data),
        seed=stages[0][-1].seed,
        steps=sum(stage.steps for chain in stages for stage in chain),
        command=_command(f"--net {net}", workshop),
        device="CPU, one thread",
        trained_at=datetime.now(UTC),
    )
    progress(f"measuring {name} on its hold-outs")
    card = publish(nets, training, folder, data, folds=folds)
    facts = {"weights": str(folder / f"{name}.safetensors"), "digest": card.digest}
    report({**facts, **card.metrics}, as_json=as_json)


def _keep_for_study(workshop: Workshop, name: str, folder: Path) -> None:
    from engine.cosmicrays.publishing import keep_for_study

    net = workshop.make(name)
    stage = workshop.stages(name)[-1]
    keep_for_study(net, stage, folder, _command("--study", workshop), datetime.now(UTC))


def _log(stage: Recipe) -> Log:
    def log(step: int, loss: float) -> None:
        if step % LOG_EVERY == 0 or step == stage.steps:
            progress(
                f"{stage.name}, step {step} of {stage.steps}: cross-entropy {loss:.5f} nats a pixel"
            )

    return log


def _command(what: str, workshop: Workshop) -> str:
    steps = "" if workshop.steps is None else f" --steps {workshop.steps}"
    seed = "" if workshop.seed is None else f" --seed {workshop.seed}"
    return f"skysieve train cosmicrays {what}{steps}{seed}"
