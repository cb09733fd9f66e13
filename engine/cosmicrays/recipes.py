"""Every network that is shipped or compared, and the stages that make it.

A first stage learns from nothing. A second one goes on from it, with columns and trails among the
scenes: "general" for long, "plain", "vi" and "dropout" for the same few steps on the same patches,
so that they can be compared. "stis" fits the general network to the STIS CCD, on all rows or on
one of two folds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engine.cosmicrays import curriculum
from engine.cosmicrays.dropout import UNet2SigmoidDropout
from engine.cosmicrays.patches import PatchSource
from engine.cosmicrays.training import (
    Checkpoint,
    Log,
    TrainingPlan,
    second_plan,
    train_unet,
    train_variational,
    tune_unet,
)
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import build_unet
from engine.errors import UnreadableFile

Kind = Literal["first", "plain", "vi", "dropout", "stis"]
COMPARED_STEPS = 250
SEEDS = (0, 1, 2)
MEMBERS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Recipe:
    """One stage: what it starts from, how long, with which seed; `fold` of the STIS pair."""

    name: str
    kind: Kind
    steps: int
    seed: int
    start: str | None = None
    learning_rate: float = 3e-4
    fold: str | None = None

    @property
    def bayesian(self) -> bool:
        """Whether the stage gives a posterior over weights."""
        return self.kind == "vi"


FIRST_STEPS = {0: 2400, 1: 2400, 2: 1400, 3: 1400, 4: 1400}

RECIPES: dict[str, Recipe] = {
    one.name: one
    for one in (
        *(Recipe(f"first-{seed}", "first", FIRST_STEPS[seed], seed) for seed in MEMBERS),
        Recipe("general", "plain", 600, 1, "first-1", 1e-3),
        Recipe("stis", "stis", 400, 1, "general", 1e-3),
        Recipe("stis-low", "stis", 400, 1, "general", 1e-3, fold="low"),
        Recipe("stis-high", "stis", 400, 1, "general", 1e-3, fold="high"),
        *(
            Recipe(f"plain-{seed}", "plain", COMPARED_STEPS, seed, f"first-{seed}")
            for seed in MEMBERS
        ),
        *(Recipe(f"vi-{seed}", "vi", COMPARED_STEPS, seed, f"first-{seed}") for seed in SEEDS),
        Recipe("dropout-1", "dropout", COMPARED_STEPS, 1, "first-1"),
    )
}


SHIPPED: dict[str, tuple[str, ...]] = {
    "cosmicrays-unet": ("general",),
    "cosmicrays-stis": ("stis",),
    "cosmicrays-vi": ("vi-1",),
    "cosmicrays-ensemble": tuple(f"plain-{seed}" for seed in MEMBERS),
}
STUDY = ("stis-low", "stis-high", "vi-0", "vi-2", "dropout-1")


def chain(name: str) -> tuple[Recipe, ...]:
    """The stages that make a network, in order. Raises ValueError on an unknown name."""
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    return (*(chain(recipe.start) if recipe.start else ()), recipe)


def source_of(recipe: Recipe, folder: Path | None) -> PatchSource:
    """The patches that a stage learns from; `folder` holds the real frames."""
    if recipe.kind != "stis":
        return curriculum.training_source(recipe.seed, folder, flaws=recipe.kind != "first")
    if folder is None:
        raise UnreadableFile(f"{recipe.name} learns from the STIS pair: point SKYSIEVE_DATA at it")
    return curriculum.stis_source(recipe.seed, folder, recipe.fold)


def plan_of(recipe: Recipe) -> TrainingPlan:
    """How long and how fast a stage trains."""
    if recipe.start is None:
        return TrainingPlan(steps=recipe.steps, seed=recipe.seed)
    plan = second_plan(recipe.steps, recipe.seed, first_steps=RECIPES[recipe.start].steps)
    return replace(plan, learning_rate=recipe.learning_rate)


def train_stage(
    recipe: Recipe,
    start: UNet2Sigmoid | None,
    folder: Path | None,
    *,
    checkpoint: Checkpoint | None = None,
    log: Log | None = None,
) -> UNet2Sigmoid:
    """Run one stage, from `start` where it is not a first one."""
    source, plan = source_of(recipe, folder), plan_of(recipe)
    if recipe.kind == "first":
        return train_unet(source, plan, checkpoint=checkpoint, log=log)
    if start is None:
        raise ValueError(f"{recipe.name} goes on from {recipe.start}: train that first")
    if recipe.kind == "vi":
        return train_variational(source, plan, start, checkpoint=checkpoint, log=log)
    return tune_unet(source, plan, start, checkpoint=checkpoint, log=log, net=untuned(recipe))


def untuned(recipe: Recipe) -> UNet2Sigmoid:
    """An empty network of the stage's kind."""
    if recipe.kind == "dropout":
        return UNet2SigmoidDropout()
    return build_unet(bayesian=recipe.bayesian)
