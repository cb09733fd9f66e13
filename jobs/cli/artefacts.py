"""`skysieve train anomaly --artefacts`: the head that tells artefacts from objects."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.cli.output import progress

TRAINING_SEED = 1_000
VANISHED = 4
HEAT_FRAMES = 20


def headline(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures that fit a screen."""
    wanted = ("weights", "heat_map", "roc_auc", "threshold", "normals")
    shares = {f"kept_apart_{key}": value for key, value in figures["kept_apart"].items()}
    return {**{key: figures[key] for key in wanted}, **shares}


def train_artefacts(frames: int, seed: int, folder: Path) -> dict[str, Any]:
    """Train the head on `frames` simulated frames and write it with its card; return its figures.

    Training nights have seeds from 1000 on, benchmarks use those below.
    """
    from engine.anomalies.artefacts.features import NAMES
    from engine.anomalies.artefacts.head import HEAD_NAME
    from engine.anomalies.artefacts.nights import artefact_night, night_table
    from engine.anomalies.artefacts.training import train_head
    from engine.anomalies.simulated import cleaned_by
    from engine.cards import ModelCard, file_digest, write_card
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.cosmicrays.policy import CosmicRayPolicy

    cosmic_rays = CosmicRayPipeline(CosmicRayPolicy(method="unet", views=1, fill="learned"))

    def say(number: int) -> None:
        if number % 20 == 0:
            progress(f"measured {number} of {frames} frames")

    night = night_table(
        artefact_night(frames, TRAINING_SEED + seed),
        clean=cleaned_by(cosmic_rays),
        vanished=VANISHED,
        on_frame=say,
    )
    trained = train_head(night, seed=seed, domain=("sim",), say=progress)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{HEAD_NAME}.safetensors"
    trained.head.save(path)
    card = ModelCard(
        name=HEAD_NAME,
        pipeline="anomaly",
        digest=file_digest(path),
        description="The probability that a detection is an artefact of camera, optics or coder.",
        architecture={"kinds": trained.head.kinds, "features": NAMES, "domain": ("sim",)},
        data=f"{frames} simulated frames of nights with artefacts and two galaxies in five "
        f"anomalous, seed {TRAINING_SEED + seed}, cosmic rays removed by model "
        f"{cosmic_rays.model_digest[:12]}",
        seed=seed,
        command=f"skysieve train anomaly --artefacts --frames {frames} --seed {seed}",
        device="CPU",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=trained.metrics,
        limits="Trained on simulated artefacts; it decides for simulated frames only and is told, "
        "without consequence, everywhere else.",
    )
    write_card(folder, card)
    return {"weights": str(path), **trained.metrics}


def train_heat_map(frames: int, seed: int, folder: Path) -> dict[str, Any]:
    """Fit the heat map on normals of simulated frames and write it with its card."""
    import numpy as np

    from engine.anomalies.artefacts.nights import FlawLight, name_detection
    from engine.anomalies.cutouts import cutouts_of
    from engine.anomalies.heatmap import HEAT_NAME, HeatMap, patch_features
    from engine.anomalies.preprocessing import embedder_input
    from engine.anomalies.simulated import NORMAL, cleaned_by_truth, reference_frames
    from engine.cards import ModelCard, file_digest, write_card

    patches = []
    for simulated in reference_frames(min(frames, HEAT_FRAMES)):
        flaws = FlawLight.of(simulated.truth)
        cutouts = cutouts_of(simulated.frame, cosmic_rays=cleaned_by_truth(simulated))
        normal = [cut for cut in cutouts if name_detection(cut, flaws).status == NORMAL]
        patches.append(patch_features(embedder_input(normal)))
    gathered = np.concatenate(patches)
    fitted = HeatMap.fit(gathered)
    path = folder / f"{HEAT_NAME}.safetensors"
    fitted.save(path)
    metrics = {"normals": len(gathered), "typical": fitted.typical, "high": fitted.high}
    card = ModelCard(
        name=HEAT_NAME,
        pipeline="anomaly",
        digest=file_digest(path),
        description="Which patches of a cutout are unlike those of normals: it explains, and never "
        "ranks.",
        architecture={"features": "EfficientNet-Lite0 blocks 4 and 10", "components": 60},
        data=f"normals of {min(frames, HEAT_FRAMES)} simulated frames of the nights reference-000 "
        "and following",
        seed=seed,
        command=f"skysieve train anomaly --artefacts --frames {frames} --seed {seed}",
        device="CPU",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=metrics,
        limits="Fitted on simulated frames; on others it shows what those lacked.",
    )
    write_card(folder, card)
    return {"heat_map": str(path), **metrics}
