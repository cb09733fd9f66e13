"""`skysieve train anomaly --labelled`: a probe or a fine-tuned classifier with its card."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.cli.output import progress


def train_classes(
    name: str,
    labelled: Path,
    names: Mapping[str, str],
    embedder_name: str,
    folder: Path,
    *,
    finetune: bool,
    epochs: int,
    seed: int,
) -> dict[str, Any]:
    """Learn the classes of `labelled`, measure on held-out sources, write weights and card."""
    from engine.anomalies.cutouts import whole_image
    from engine.anomalies.embedders import make_embedder
    from engine.anomalies.finetuning import fine_tune
    from engine.anomalies.labelled import read_labelled
    from engine.anomalies.preprocessing import embedder_input
    from engine.anomalies.probing import measure_probe
    from engine.cards import ModelCard, file_digest, write_card

    images = read_labelled(labelled).relabelled(names)
    progress(f"{len(images)} images of {len(set(images.labels))} classes")
    embedder = make_embedder("efficientnet_lite0" if finetune else embedder_name)
    cutouts = (whole_image(frame) for frame in images.frames())
    weights = folder / f"{name}.safetensors"
    if finetune:
        import numpy as np

        ready = [embedder_input([cutout], side=embedder.input_side) for cutout in cutouts]
        tuning = fine_tune(
            np.concatenate(ready),
            images.labels,
            images.keys,
            epochs=epochs,
            seed=seed,
            on_epoch=lambda epoch, nll: progress(f"epoch {epoch}: validation NLL {nll:.4f}"),
        )
        tuning.model.save(weights)
        metrics, what = tuning.metrics, "efficientnet-lite0, block 15 and head tuned"
    else:
        vectors = [embedder.embed(embedder_input([c], side=embedder.input_side)) for c in cutouts]
        probe, metrics = measure_probe(vectors, images.labels, images.keys)
        probe.save(weights)
        what = f"linear probe over {embedder.name}"
    card = ModelCard(
        name=name,
        pipeline="anomaly-classes",
        digest=file_digest(weights),
        description="A class head; out-of-distribution scores keep the frozen embedder.",
        architecture={"what": what, "class_names": metrics["classes"]},
        data=f"{labelled.name}, {len(images)} images, split by hash of the source image",
        seed=seed,
        command=f"skysieve train anomaly --labelled {labelled.name} --seed {seed}"
        + (f" --finetune --epochs {epochs}" if finetune else "")
        + "".join(f" --rename '{old}={new}'" for old, new in names.items()),
        device="CPU",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=metrics,
        calibration={"temperature": metrics["temperature"], "rows": metrics["images"]["test"]},
        limits="For images like those it was trained on; it does not know what it has never seen.",
    )
    write_card(folder, card)
    return {"weights": str(weights), **metrics}
