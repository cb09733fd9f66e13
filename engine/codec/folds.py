"""Rover figures by folds: every lossless rover frame is measured by a network that never saw it.

Two folds over source images. Frames of one panorama or one traverse share ground and light and stay
in one fold where that can be. A network first learns from everything but lossless rover frames;
each fold's network goes on from there with the frames of the other fold. Only rover frames are
measured with these networks, so that they may learn from the held-out HiRISE crops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.codec.corpus import (
    Group,
    lossless_frames,
    mapped_samples,
    stretched,
    training_groups,
)
from engine.codec.fitting import fitted_tables
from engine.codec.model import CodecModel, freeze
from engine.codec.network import DropoutAutoencoder
from engine.codec.training import Progress, TrainingPlan, train
from engine.frame import Frame

FOLDS = {
    "first": ("1N491020", "1F483288473", "1F483644096", "NLA_399621413"),
    "second": ("1N546228391", "1F484710941", "1F490747543", "1F498644828", "NLB_51"),
}
"""Parts of the names of each fold's frames: MER Opportunity and MSL Navcam, 12 bits."""
GROUP = "raw_mars"
SHARE_BEFORE = 0.12
"""How often lossless images are drawn while no rover frame is among them."""
STEPS_BEFORE, STEPS_OF_FOLD = 3000, 400
RATE_OF_FOLD = 4e-4
TABLE_ROUNDS = 1

Say = Callable[[str, Progress], None]


def fold_frames(data: Path, fold: str) -> list[Frame]:
    """The frames of a fold, in 8 bits from their 0.01 to their 99.99 percentile."""
    return [stretched(frame) for frame in _lossless(data) if _is_of(frame, FOLDS[fold])]


def groups_before_folds(data: Path) -> tuple[Group, ...]:
    """Everything that the codec may learn from, but no lossless rover frame."""
    every = tuple(part for parts in FOLDS.values() for part in parts)
    images = tuple(mapped_samples(f) for f in _lossless(data) if not _is_of(f, every))
    return tuple(
        replace(group, images=images, share=SHARE_BEFORE) if group.name == GROUP else group
        for group in training_groups(data)
    )


def fold_groups(data: Path, fold: str) -> tuple[Group, ...]:
    """The same with the lossless rover frames of the other fold."""
    images = tuple(mapped_samples(f) for f in _lossless(data) if not _is_of(f, FOLDS[fold]))
    return tuple(
        replace(group, images=images) if group.name == GROUP else group
        for group in training_groups(data)
    )


def fold_models(
    data: Path, seed: int, *, clock: Callable[[], float], checkpoints: Path, say: Say
) -> dict[str, CodecModel]:
    """Train, or resume from `checkpoints`, a network for each fold, with fitted tables."""

    def trained(
        name: str, groups: tuple[Group, ...], plan: TrainingPlan, start: DropoutAutoencoder | None
    ) -> DropoutAutoencoder:
        path = checkpoints / f"codec-{name}-{plan.steps}-{plan.seed}.pt"
        return train(
            groups,
            plan,
            clock=clock,
            checkpoint=path,
            resume=True,
            start=start,
            report=lambda now: say(name, now),
        ).network

    before = TrainingPlan(steps=STEPS_BEFORE, seed=seed)
    common = trained("before-folds", groups_before_folds(data), before, None)
    plan = TrainingPlan(steps=STEPS_OF_FOLD, seed=seed, learning_rate=RATE_OF_FOLD)
    models = {}
    for fold in FOLDS:
        groups = fold_groups(data, fold)
        network = trained(f"fold-{fold}", groups, plan, common)
        tables = fitted_tables(network, groups, seed, TABLE_ROUNDS)
        models[fold] = CodecModel.from_bytes(freeze(network, tables))
    return models


def _lossless(data: Path) -> list[Frame]:
    return list(lossless_frames(data, "train"))


def _is_of(frame: Frame, parts: tuple[str, ...]) -> bool:
    return any(part in frame.origin.uri for part in parts)
