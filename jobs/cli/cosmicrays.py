"""`skysieve clean` and `skysieve train cosmicrays`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs.cli.options import Resume, WeightsFolder
from jobs.cli.output import AsJson, progress, report
from jobs.errors import UsageError

if TYPE_CHECKING:
    from engine.cosmicrays.patches import PatchSource
    from engine.cosmicrays.training import Checkpoint, Log
    from engine.cosmicrays.unet import UNet2Sigmoid
    from engine.frame import Frame
    from engine.results import CosmicRayResult

Method = Literal["vi", "unet", "deepcr", "lacosmic"]
Detect = Callable[["Frame"], "CosmicRayResult"]

UNET_STEPS, VI_STEPS = 1800, 700
LOG_EVERY = 50


def clean(
    file: Annotated[Path, typer.Argument(help="FITS file; every chip in it is cleaned.")],
    out: Annotated[Path, typer.Option(help="FITS file to write.")],
    method: Annotated[Method, typer.Option(help="deepcr needs the package deepCR.")] = "vi",
    samples: Annotated[int, typer.Option(min=1, help="Weight samples of the method vi.")] = 16,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=0.999999, help="Probability above which to mask.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weight samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find and remove cosmic rays: writes SCI, MASK, PROB, ENTROPY, MI and DQ for every chip."""
    from engine.cosmicrays.products import write_products
    from engine.errors import NotApplicable
    from engine.reading import read_frames

    if out.resolve() == file.resolve():
        raise UsageError(f"{out} is the input itself: choose another --out")
    detect, model = _detector(method, samples, threshold, seed)
    cleaned: list[tuple[Frame, CosmicRayResult]] = []
    skipped: dict[str, str] = {}
    for frame in read_frames(file, source="file").frames:
        try:
            cleaned.append((frame, detect(frame)))
        except NotApplicable as error:
            skipped[frame.origin.part or "image"] = str(error)
    if not cleaned:
        raise UsageError(f"nothing in {file} can be cleaned: {'; '.join(skipped.values())}")
    cards: dict[str, str | int | float] = {
        "CRMETHOD": method,
        "CRMODEL": model[:64],
        "CRSEED": seed,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_products(out, cleaned, cards)
    results = [result for _, result in cleaned]
    report({**_facts(results), "skipped": skipped, "out": str(out)}, as_json=as_json)


def _detector(method: Method, samples: int, threshold: float, seed: int) -> tuple[Detect, str]:
    """The chosen method as one call a frame, and the digest or name of what it runs."""
    from engine.cosmicrays.baselines import run_deepcr, run_lacosmic
    from engine.cosmicrays.deepcr import ACS_WFC, installed_deepcr
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.cosmicrays.policy import CosmicRayPolicy
    from engine.policy import generator_for

    if method == "lacosmic":
        return run_lacosmic, "astroscrappy"
    if method == "deepcr":
        weights = installed_deepcr(ACS_WFC)
        return lambda frame: run_deepcr(frame, weights, threshold=threshold), f"deepCR {ACS_WFC}"
    policy = CosmicRayPolicy(method=method, samples=samples, threshold=threshold, seed=seed)
    pipeline = CosmicRayPipeline(policy)
    return (
        lambda frame: pipeline.run(frame, generator_for(frame.digest, seed)),
        pipeline.model_digest,
    )


def _facts(results: list[CosmicRayResult]) -> dict[str, Any]:
    masked = sum(int(result.mask.sum()) for result in results)
    pixels = sum(result.mask.size for result in results)
    return {
        "chips": len(results),
        "method": results[0].method,
        "samples": results[0].samples,
        "masked_pixels": masked,
        "masked_share": masked / pixels,
    }


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
