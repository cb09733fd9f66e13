"""Training of the learned fill: pixels under injected hits, whose true values are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from engine.cosmicrays.curriculum import training_source
from engine.cosmicrays.exposures import Exposure
from engine.cosmicrays.hits import EIGHT_NEIGHBOURS, hit_labels, noisy, scatter_hits
from engine.cosmicrays.learned_fill import RADIUS_PX, FillNet, normalised
from engine.cosmicrays.neighbourhoods import neighbourhoods
from engine.cosmicrays.patches import PatchSource
from engine.frame import Mask

STEPS = 10_000
FIELDS = 200
PATCH_PX = 160
COVERED_SHARE = 0.03
DILATED_SHARE = 0.3
LEARNING_RATE = 2e-3
HUBER_SIGMA = 3.0
SHARES = (0.5, 0.3, 0.2)

Log = Callable[[int, float], None]
Examples = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def fill_source(seed: int, folder: Path | None, *, fields: int = FIELDS) -> PatchSource:
    """The scenes and hits that the detectors learn from, real exposures in larger shares."""
    source = training_source(seed, folder, fields=fields)
    return source if folder is None else replace(source, shares=SHARES)


def described_fill_data(folder: Path | None) -> str:
    """What `fill_source` draws from, for a model card."""
    if folder is None:
        return f"{FIELDS} simulated fields and hits, as the detectors learn from."
    return (
        f"The scenes and hits that the detectors learn from: {FIELDS} simulated fields in "
        f"{SHARES[0]:.0%} of the steps, HST/ACS/HRC 47 Tuc {SHARES[1]:.0%}, HST/WFPC2 omega Cen "
        f"{SHARES[2]:.0%}; training parts alone."
    )


def train_fill(source: PatchSource, steps: int, seed: int, log: Log | None = None) -> FillNet:
    """Train the fill network: Huber loss on the error in units of the pixel's noise.

    Every step sees the pixels under the hits of one patch, with masks as the labels have them or,
    in three steps of ten, grown by a pixel, as detectors leave both. The same source, steps and
    seed give the same weights on the same machine.
    """
    torch.manual_seed(seed)
    net = FillNet()
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    for step in range(steps):
        x, wanted, scale = examples(source, np.random.default_rng([seed, 3, step]))
        error = (net(torch.from_numpy(x)) - torch.from_numpy(wanted)) * torch.from_numpy(scale)
        loss = functional.huber_loss(error, torch.zeros_like(error), delta=HUBER_SIGMA)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if log is not None:
            log(step + 1, float(loss.detach()))
    return net.eval()


def examples(source: PatchSource, rng: np.random.Generator) -> Examples:
    """The pixels of one patch that hits cover; another patch where there are none."""
    while True:
        group = source.groups[int(rng.choice(len(source.groups), p=source.shares))]
        scene = group[int(rng.integers(len(group)))].exposure(rng, PATCH_PX)
        charge = scatter_hits(rng, (PATCH_PX, PATCH_PX), source.draw_hit, COVERED_SHARE)
        examples = _covered(rng, scene, noisy(rng, charge))
        if examples is not None:
            return examples


def _covered(
    rng: np.random.Generator, scene: Exposure, charge: NDArray[np.float32]
) -> Examples | None:
    """Windows (n, 242), the true pixel in each window's units, and that unit in noise."""
    truth, _ = hit_labels(charge, scene.sigma)
    masked = _grown(truth) if rng.random() < DILATED_SHARE else truth
    rows, columns = np.nonzero(masked & ~scene.ignore)
    if not rows.size:
        return None
    (around,) = neighbourhoods(scene.pixels + charge, ~masked, (rows, columns), RADIUS_PX)
    x, level, spread, enough = normalised(around)
    wanted = (scene.pixels[rows, columns] - level) / np.where(enough, spread, 1)
    scale = spread / scene.sigma[rows, columns]
    if not enough.any():
        return None
    return x[enough], wanted[enough].astype(np.float32), scale[enough].astype(np.float32)


def _grown(mask: Mask) -> Mask:
    grown: Mask = ndimage.binary_dilation(mask, EIGHT_NEIGHBOURS)
    return grown
