"""Networks by name: their stages trained one after the other, finished ones kept for resuming."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from engine.cosmicrays.evaluation import Judged, judge
from engine.cosmicrays.holdouts import LabelledFrame, stis_pair
from engine.cosmicrays.publishing import Folds, net_detector
from engine.cosmicrays.recipes import Recipe, chain, train_stage, untuned
from engine.cosmicrays.stis import FOLDS
from engine.cosmicrays.training import Checkpoint, Log
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.weights import save_net
from engine.frame import Pixels

StageLog = Callable[[Recipe], Log]


@dataclass(frozen=True)
class Workshop:
    """Where networks are made: the real frames, the folder of stages, and what overrides a recipe.

    `steps` and `seed` replace those of every stage. With `resume` finished stages are taken as
    they are and unfinished ones go on from their checkpoint.
    """

    data: Path | None
    folder: Path
    log: StageLog
    steps: int | None = None
    seed: int | None = None
    resume: bool = False

    def stages(self, name: str) -> tuple[Recipe, ...]:
        """The stages that make a network, with this workshop's steps and seed."""
        return tuple(
            replace(
                stage,
                steps=stage.steps if self.steps is None else self.steps,
                seed=stage.seed if self.seed is None else self.seed,
            )
            for stage in chain(name)
        )

    def make(self, name: str) -> UNet2Sigmoid:
        """Train a network through all its stages. Raises ValueError on an unknown name."""
        torch.set_num_threads(1)
        net = None
        for stage in self.stages(name):
            path = self.folder / f"{stage.name}-{stage.steps}-{stage.seed}.safetensors"
            if self.resume and path.is_file():
                net = untuned(stage)
                net.load_state_dict(load_file(path))
                continue
            checkpoint = Checkpoint(path.with_suffix(".pt"), self.resume)
            net = train_stage(stage, net, self.data, checkpoint=checkpoint, log=self.log(stage))
            save_net(net, path)
        if net is None:
            raise ValueError(f"{name} has no stage")
        return net.eval()


def seen_by_the_other_fold(nets: dict[str, UNet2Sigmoid], data: Path, *, views: int = 1) -> Folds:
    """Score every row of the STIS pair by the network that was trained on the other fold.

    `nets` holds a network a fold that it was trained on.
    """
    frames = list(stis_pair(data))
    detectors = {
        fold: net_detector(net, samples=1, seed=0, views=views) for fold, net in nets.items()
    }

    def stitched(frame: LabelledFrame) -> Pixels:
        whole = np.empty_like(frame.pixels)
        for seen, detect in detectors.items():
            (other,) = (rows for fold, rows in FOLDS.items() if fold != seen)
            whole[other] = detect(frame)[other]
        return whole

    maps = {frame.name: stitched(frame) for frame in frames}
    judged = judge(lambda frame: maps[frame.name], frames)
    return Folds(judged, halves(frames, maps))


def halves(frames: Sequence[LabelledFrame], maps: dict[str, Pixels]) -> tuple[Judged, Judged]:
    """The two folds of the STIS pair, each judged alone; `maps` by the name of the frame."""
    low, high = (_half(frames, maps, fold) for fold in FOLDS)
    return low, high


def _half(frames: Sequence[LabelledFrame], maps: dict[str, Pixels], fold: str) -> Judged:
    outside = np.ones(frames[0].truth.shape, dtype=bool)
    outside[FOLDS[fold]] = False
    parts = [
        replace(frame, dataset=f"STIS {fold} rows", ignore=frame.ignore | outside)
        for frame in frames
    ]
    return judge(lambda frame: maps[frame.name], parts)
