"""The learned fill measured beside the others and written with its card."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import save

from engine.cards import ModelCard, file_digest, write_card
from engine.cosmicrays.holdouts import (
    LabelledFrame,
    calibration_frames,
    injected_holdouts,
    simulated_holdout,
)
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.learned_fill import FillNet, learned_values
from engine.cosmicrays.publishing import Training
from engine.cosmicrays.restoration import FILLS, Fill, fill_errors
from engine.frame import Mask, Pixels

LIMITS = (
    "Fills hits and small defects: a pixel with fewer than 12 good ones within 5 pixels gets the "
    "median of a larger window. What it puts in is an expectation without its noise."
)


def publish_fill(net: FillNet, training: Training, folder: Path, data: Path | None) -> ModelCard:
    """Measure the network beside the other fills, and write weights and card to `folder`.

    `data` holds the real frames; without it only the simulated ones are measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{training.name}.safetensors"
    path.write_bytes(save({name: value.contiguous() for name, value in net.state_dict().items()}))
    fills: dict[str, Fill] = {**FILLS, "learned": partial(fill_with, net)}
    metrics = {name: fill_errors(frames, fills) for name, frames in fill_sets(data).items()}
    card = ModelCard(
        name=training.name,
        pipeline="cosmicrays",
        digest=file_digest(path),
        description=(
            "Fills one masked pixel from the good ones within 5 pixels: a perceptron on the "
            "window in units of its own spread."
        ),
        architecture={
            "kind": "fill",
            "hidden": net.layers[0].out_features,
            "parameters": sum(int(np.prod(value.shape)) for value in net.parameters()),
        },
        data=training.data,
        seed=training.seed,
        command=training.command,
        device=training.device,
        trained_at=training.trained_at.isoformat(timespec="seconds"),
        metrics={"steps": training.steps, **metrics},
        limits=LIMITS,
    )
    write_card(folder, card)
    return card


def fill_sets(data: Path | None) -> dict[str, list[LabelledFrame]]:
    """What fills are compared on: first what the default is chosen by, then what is reported.

    "choice" holds the simulated night validate-cr and, where there is data, the calibration parts
    of 47 Tuc and omega Cen; the others are the detectors' hold-outs.
    """
    chosen_by = list(simulated_holdout(data, night="validate-cr", frames=2))
    sets = {"holdout-cr": list(simulated_holdout(data))}
    if data is not None:
        chosen_by += calibration_frames(data)
        sets |= {frame.dataset: [frame] for frame in injected_holdouts(data)}
    return {"choice": chosen_by, **sets}


def fill_with(net: FillNet, pixels: Pixels, mask: Mask) -> Pixels:
    """Fill as `inpaint` does, by a network that is not shipped yet."""
    rows, columns = np.nonzero(mask)
    values = learned_values(net, pixels, ~mask, (rows, columns))
    filled = inpaint(pixels, mask)
    found = np.isfinite(values)
    filled[rows[found], columns[found]] = values[found]
    return filled
