"""Fine-tuning beside the probe that it starts from, on sources that neither has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.anomalies.cutouts import whole_image
from engine.anomalies.finetuning import fine_tune
from engine.anomalies.preprocessing import embedder_input
from jobs.bench.anomalies.pictures import Picture
from jobs.bench.anomalies.probes import SETS


def tuned(
    sets: Mapping[str, Sequence[Picture]], seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Accuracy, likelihood and ECE of the last block tuned and of its start, for every set."""
    figures: dict[str, Any] = {}
    for name, (dataset, classes) in SETS.items():
        pictures = [p for p in sets.get(dataset, ()) if p.label in classes]
        if not pictures:
            continue
        say(f"fine-tuning on {name}")
        images = np.concatenate([embedder_input([whole_image(p.read())]) for p in pictures])
        labels, keys = [p.label for p in pictures], [p.key for p in pictures]
        metrics = fine_tune(images, labels, keys, seed=seed).metrics
        figures[name] = {**metrics, "beats_its_probe": metrics["accuracy_gain"] > 0}
    return figures
