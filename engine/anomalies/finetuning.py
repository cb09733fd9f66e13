"""Fine-tuning: the last block and head of EfficientNet-Lite0 learn the classes of a label set."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engine.anomalies.classes import (
    confusion,
    expected_calibration_error,
    fit_probe,
    fit_temperature,
    negative_log_likelihood,
)
from engine.anomalies.embedders.base import Images, check_images
from engine.anomalies.embedders.efficientnet import SIDE, frozen_network
from engine.errors import CalibrationError, ModelError
from engine.split import split_of

TUNED_FROM = 15
BATCH = 32
LEARNING_RATE = 2e-4
WEIGHT_DECAY = 1e-2
VALIDATE, TEST = 0.15, 0.25
LEAST_IMAGES = 8


class Tail(nn.Module):
    """Block 15, the head and a linear layer, on maps (N, 192, 5, 5); logits (N, K) out."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        network = copy.deepcopy(frozen_network())
        self.block = network._blocks[TUNED_FROM]
        self.head, self.norm, self.act = network._conv_head, network._bn1, network._swish
        self.linear = nn.Linear(self.head.out_channels, classes)
        self.requires_grad_(requires_grad=True)
        self.eval()  # the batch statistics stay ImageNet's: small sets would spoil them

    def pooled(self, maps: Tensor) -> Tensor:
        """Head features (N, 1280)."""
        features: Tensor = self.act(self.norm(self.head(self.block(maps))))
        return features.mean(dim=(2, 3))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits (N, K)."""
        logits: Tensor = self.linear(self.pooled(maps))
        return logits


@dataclass(frozen=True)
class FineTuned:
    """A classifier of images: the tuned tail, its class names and its temperature."""

    tail: Tail
    names: tuple[str, ...]
    temperature: float

    def probabilities(self, images: Images) -> NDArray[np.float64]:
        """Calibrated class probabilities float64 (N, K) of float32 (N, 3, H, W) in [0, 1]."""
        logits = _logits(self.tail, frozen_maps(images)) / self.temperature
        shares = torch.softmax(torch.from_numpy(logits), dim=1)
        return np.asarray(shares.numpy(), dtype=np.float64)

    def save(self, path: Path) -> None:
        """Write weights and facts to one safetensors file."""
        facts = {"names": self.names, "temperature": self.temperature}
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {key: value.contiguous() for key, value in self.tail.state_dict().items()}
        save_file(state, path, metadata={"facts": json.dumps(facts)})
        path.chmod(0o644)

    @classmethod
    def load(cls, path: Path) -> FineTuned:
        """Read what `save` wrote. Raises ModelError when it cannot be."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as stream:
                facts = json.loads((stream.metadata() or {})["facts"])
            tail = Tail(len(facts["names"]))
            tail.load_state_dict(load_file(path))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise ModelError(f"{path} is not a fine-tuned classifier ({error})") from error
        return cls(tail, tuple(facts["names"]), float(facts["temperature"]))


@dataclass(frozen=True)
class Tuning:
    """A fine-tuned classifier and what it gained on images that neither fit nor choice has seen."""

    model: FineTuned
    metrics: dict[str, Any]


def fine_tune(
    images: Images,
    labels: Sequence[str],
    keys: Sequence[str],
    *,
    epochs: int = 8,
    seed: int = 0,
    on_epoch: Callable[[int, float], None] = lambda _, __: None,
) -> Tuning:
    """Tune the last block and head from the linear probe on; keep the epoch that validates best.

    `images` float32 (N, 3, H, W) in [0, 1], one class name and one source-image key a row; sources
    are split by hash into fit, validation (15 %) and test (25 %). Epoch 0 is the probe itself, so a
    tuning that does not help is not kept. Every epoch sees each image under one of the 8 rotations
    and flips. AdamW, cross-entropy. Raises CalibrationError when a split is too small.
    """
    names = tuple(sorted(set(labels)))
    target = np.array([names.index(label) for label in labels])
    splits = np.array([split_of(key, calibrate=VALIDATE, test=TEST) for key in keys])
    fit, valid, test = (np.flatnonzero(splits == s) for s in ("fit", "calibrate", "test"))
    if min(len(fit), len(valid), len(test)) < LEAST_IMAGES or len(set(target[fit])) < len(names):
        raise CalibrationError(
            f"fine-tuning needs at least {LEAST_IMAGES} images in each split and all classes to "
            f"fit on, got {len(fit)}, {len(valid)}, {len(test)}: add labelled images"
        )
    generator = torch.Generator().manual_seed(seed)
    maps = frozen_maps(images)
    tail = _started(maps, labels, keys, fit, names)
    start = {rows: _logits(tail, maps[chosen]) for rows, chosen in (("v", valid), ("t", test))}
    best = (negative_log_likelihood(start["v"], target[valid]), 0, copy.deepcopy(tail.state_dict()))
    optimiser = torch.optim.AdamW(tail.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    goal = torch.from_numpy(target)
    for epoch in range(1, epochs + 1):
        order = torch.from_numpy(fit)[torch.randperm(len(fit), generator=generator)]
        for batch in torch.split(order, BATCH):
            view = int(torch.randint(8, (1,), generator=generator))
            optimiser.zero_grad()
            loss = functional.cross_entropy(tail(_turned(maps[batch], view)), goal[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        nll = negative_log_likelihood(_logits(tail, maps[valid]), target[valid])
        on_epoch(epoch, nll)
        if nll < best[0]:
            best = (nll, epoch, copy.deepcopy(tail.state_dict()))
    tail.load_state_dict(best[2])
    temperature = fit_temperature(_logits(tail, maps[valid]), target[valid])
    tuned = _logits(tail, maps[test])
    return Tuning(
        FineTuned(tail, names, temperature),
        {
            "images": {"fit": len(fit), "validation": len(valid), "test": len(test)},
            "classes": list(names),
            "kept_epoch": best[1],
            "epochs": epochs,
            "start": _figures(start["t"], target[test]),
            "fine_tuned": _figures(tuned / temperature, target[test]),
            "uncalibrated_nll": negative_log_likelihood(tuned, target[test]),
            "accuracy_gain": float(
                np.mean(tuned.argmax(axis=1) == target[test])
                - np.mean(start["t"].argmax(axis=1) == target[test])
            ),
            "temperature": temperature,
            "confusion": confusion(names, tuned.argmax(axis=1), target[test]),
        },
    )


def frozen_maps(images: Images) -> Tensor:
    """Activations before block 15, float32 (N, 192, 5, 5), of images (N, 3, H, W) in [0, 1]."""
    check_images(images)
    network = frozen_network()
    blocks = []
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            x = torch.from_numpy(images[start : start + BATCH])
            if x.shape[-2:] != (SIDE, SIDE):
                x = functional.interpolate(
                    x, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
                )
            x = ((x * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
            x = network._swish(network._bn0(network._conv_stem(x)))
            for block in network._blocks[:TUNED_FROM]:
                x = block(x)
            blocks.append(x.contiguous())
    return torch.cat(blocks)


def _started(
    maps: Tensor,
    labels: Sequence[str],
    keys: Sequence[str],
    fit: np.ndarray,
    names: tuple[str, ...],
) -> Tail:
    """The tail with the probe's weights in its linear layer."""
    tail = Tail(len(names))
    with torch.no_grad():
        pooled = torch.cat([tail.pooled(part) for part in torch.split(maps[fit], BATCH)]).numpy()
    probe = fit_probe(pooled, [labels[row] for row in fit], [keys[row] for row in fit])
    standardiser = probe.head.standardiser
    kept = standardiser.scale > 0
    weight = np.zeros((len(names), len(kept)))
    weight[:, kept] = probe.head.weight / standardiser.scale[kept]
    bias = probe.head.bias - weight[:, kept] @ standardiser.mean[kept]
    with torch.no_grad():
        tail.linear.weight.copy_(torch.from_numpy(weight))
        tail.linear.bias.copy_(torch.from_numpy(bias))
    return tail


def _logits(tail: Tail, maps: Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        parts = [tail(part) for part in torch.split(maps, BATCH)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)


def _turned(maps: Tensor, view: int) -> Tensor:
    """Maps turned by 90 degrees view % 4 times and, from view 4 on, mirrored.

    Turning the maps instead of the images is not quite the same, and much cheaper.
    """
    turned = torch.rot90(maps, view % 4, (2, 3))
    return turned.flip(3) if view >= 4 else turned


def _figures(logits: NDArray[np.float64], target: NDArray[np.int64]) -> dict[str, float]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = shifted / shifted.sum(axis=1, keepdims=True)
    return {
        "accuracy": float(np.mean(logits.argmax(axis=1) == target)),
        "nll": negative_log_likelihood(logits, target),
        "ece": expected_calibration_error(shares, target),
    }
