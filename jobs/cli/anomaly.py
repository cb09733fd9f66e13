"""`skysieve score` and `skysieve train anomaly`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.artefacts import headline
from jobs.cli.options import WeightsFolder
from jobs.cli.output import AsJson, progress, report
from jobs.errors import SourceError, UsageError

if TYPE_CHECKING:
    from engine.anomalies.reference import Judged, Reference
    from engine.anomalies.simulated import Sample
    from engine.frame import Frame
    from engine.sky import SimulatedFrame

EMBEDDER_HELP = (
    "efficientnet_lite0, efficientnet_lite0:8, morphology or vit:FOLDER; of the object in the "
    "middle after fitted-, of the central half after zoom-; joined by +."
)
SOURCE_EMBEDDER = "efficientnet_lite0+morphology"
DEFAULT_EMBEDDER = "efficientnet_lite0+morphology+fitted-efficientnet_lite0+fitted-morphology"


def score(
    files: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    reference: Annotated[Path, typer.Option(help="Folder of normal images to compare with.")],
    out: Annotated[Path, typer.Option(help="CSV file to write, one row per file.")],
    samples_per_image: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Take N samples of each reference image, turned and mirrored at random: squares "
            "of the scored files' median side where the image is larger, else the whole image.",
        ),
    ] = None,
    embedder: Annotated[str, typer.Option(help=EMBEDDER_HELP)] = DEFAULT_EMBEDDER,
    seed: Annotated[int, typer.Option(help="Seed of the random samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit on a folder of normal images and score files: every method's score and p-value."""
    from jobs.hosted import embedder_named

    outcome = score_files(
        image_files(files), reference, embedder_named(embedder), samples_per_image, seed
    )
    outcome.write(out)
    report(outcome.facts(out), as_json=as_json)
    if not outcome.scored:
        raise UsageError(f"none of {len(outcome.rows)} files could be scored: see {out}")


def train_anomaly(
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of normal images; simulated nights where not given."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the reference.")] = "anomaly-sim",
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Source, or source family, that the folder stands for; repeatable."),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Simulated frames to fit on.")] = 400,
    held_out: Annotated[int, typer.Option(min=1, help="Simulated frames to test on, twice.")] = 120,
    embedder: Annotated[
        str,
        typer.Option(help=f"{EMBEDDER_HELP} Simulated nights: {SOURCE_EMBEDDER}, where not given."),
    ] = "",
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="Learn classes instead: a folder of class folders, a .csv table (Galaxy Zoo), or "
            "a Galaxy10 .h5 file."
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: the label set to learn; classes not named are left out."),
    ] = None,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Tune the network's last block, not only a probe.")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of fine-tuning.")] = 8,
    artefacts: Annotated[
        bool,
        typer.Option("--artefacts", help="Train the artefact head and the heat map instead."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the held-out frames.")] = 0,
    out: WeightsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Fit what "normal" is, calibrate and measure it on held-out images, write it with a card."""
    from engine.cards import WEIGHTS, ModelCard, file_digest, write_card

    folder = out or WEIGHTS
    if artefacts:
        from jobs.cli.artefacts import train_artefacts, train_heat_map

        figures = train_artefacts(frames, seed, folder) | train_heat_map(frames, seed, folder)
        report(figures if as_json else headline(figures), as_json=as_json)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if labelled is not None:
        from jobs.cli.classes import train_classes

        called = f"anomaly-classes-{labelled.stem}" if name == "anomaly-sim" else name
        names = label_set(rename or [])
        using = embedder or DEFAULT_EMBEDDER
        facts = train_classes(
            called, labelled, names, using, folder, finetune=finetune, epochs=epochs, seed=seed
        )
        report(facts, as_json=as_json)
        return
    if finetune:
        raise UsageError("--finetune learns classes: name the images with --labelled PATH")
    if reference is None:
        fitted, metrics, source = _fit_simulated(
            name, embedder or SOURCE_EMBEDDER, frames, held_out, seed
        )
    else:
        fitted, metrics, source = _fit_folder(name, embedder or DEFAULT_EMBEDDER, reference, domain)
    weights = folder / f"{name}.safetensors"
    fitted.save(weights)
    command = f"skysieve train anomaly --name {name} --seed {seed}"
    command += f" --frames {frames} --held-out {held_out}" if reference is None else ""
    card = ModelCard(
        name=name,
        pipeline="anomaly",
        digest=file_digest(weights),
        description="What normal detections look like: fitted scores with held-out calibration.",
        architecture=fitted.summary(),
        data=source,
        seed=seed,
        command=command,
        device="CPU",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=metrics,
        calibration={"rows": fitted.calibrated_on, "p_value": "split conformal"},
        limits="Calibrated for its domain only; elsewhere raw scores without p-values.",
    )
    write_card(folder, card)
    facts = {"weights": str(weights), "n_fit": fitted.fitted_on, "n_cal": fitted.calibrated_on}
    report({**facts, **(metrics if as_json else _headline(metrics))}, as_json=as_json)


def label_set(pairs: Sequence[str]) -> dict[str, str]:
    """The label set that OLD=NEW pairs describe. Raises UsageError for anything else."""
    names: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise UsageError(f"--rename takes OLD=NEW, got {pair!r}")
        names[old] = new
    return names


@dataclass(frozen=True)
class ScoredFiles:
    """The rows of one scoring, one per file, and what they were compared with."""

    rows: tuple[dict[str, Any], ...]
    reference: Reference
    reference_images: int
    unreadable_references: tuple[str, ...]

    @property
    def scored(self) -> int:
        """Number of files with a score."""
        return sum(not row["error"] for row in self.rows)

    def write(self, out: Path) -> None:
        """Write the rows as CSV; columns that a row lacks stay empty."""
        columns = list(max((row.keys() for row in self.rows), key=len, default=("file", "error")))
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    def facts(self, out: Path) -> dict[str, Any]:
        """What to tell the user."""
        verdicts = [row["verdict"] for row in self.rows if not row["error"]]
        return {
            "out": str(out),
            "files": len(self.rows),
            "scored": self.scored,
            "unreadable": len(self.rows) - self.scored,
            "reference_images": self.reference_images,
            "unreadable_references": len(self.unreadable_references),
            "n_fit": self.reference.fitted_on,
            "n_cal": self.reference.calibrated_on,
            "smallest_p_value": 1 / (self.reference.calibrated_on + 1),
            "embedder": self.reference.embedder,
            "combined_from": "+".join(self.reference.voters),
            **{f"verdict_{kind}": verdicts.count(kind) for kind in sorted(set(verdicts))},
        }


def score_files(
    files: Sequence[Path],
    folder: Path,
    embedder: Any,
    samples_per_image: int | None = None,
    seed: int = 0,
) -> ScoredFiles:
    """Score files against a folder; a reference image that is also scored is not fitted on."""
    import numpy as np

    from engine.anomalies.images import embed_images, fit_images

    frames, errors = _first_frames(files)
    scored = embed_images(frames.values(), embedder)
    normals, unreadable = _first_frames(image_files([folder]))
    kept = [frame for frame in normals.values() if frame.digest not in set(scored.keys)]
    side = int(np.median([min(f.height, f.width) for f in frames.values()])) if frames else None
    images = _embed_reference(kept, embedder, samples_per_image, side, seed)
    fitted = fit_images(folder.name, images, embedder, domain=[folder_source(folder)])
    judged = fitted.judge(scored.features, scored.keys)
    rows = {path: _row(path, fitted, judged, row) for row, path in enumerate(frames)}
    rows |= {path: {"file": str(path), "error": reason} for path, reason in errors.items()}
    return ScoredFiles(
        tuple(rows[path] for path in files), fitted, len(kept), tuple(unreadable.values())
    )


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all image files below the folders named, sorted, each once.

    Raises SourceError for a folder that does not exist or holds no image.
    """
    from engine.reading import image_suffix

    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.is_file() and image_suffix(p)]
        if not inside:
            raise SourceError(f"no images in {path}: expected FITS, PNG, TIFF or JPEG files")
        found |= dict.fromkeys(inside)
    return list(found)


def folder_source(folder: Path) -> str:
    """The source name under which a scan reads this folder."""
    return f"folder:{folder.expanduser().resolve()}"


def _first_frames(files: Sequence[Path]) -> tuple[dict[Path, Frame], dict[Path, str]]:
    """The first frame of every file that can be judged, and why others cannot."""
    from engine.anomalies.cutouts import MIN_FRAME_PX
    from engine.errors import FrameError
    from engine.reading import read_frames

    frames: dict[Path, Frame] = {}
    errors: dict[Path, str] = {}
    for number, path in enumerate(files, start=1):
        try:
            frame = read_frames(path, source=folder_source(path.parent)).frames[0]
        except FrameError as error:
            errors[path] = str(error)
            continue
        if min(frame.height, frame.width) < MIN_FRAME_PX:
            errors[path] = f"{frame.height} x {frame.width} px: at least {MIN_FRAME_PX} are needed"
        else:
            frames[path] = frame
        if number % 200 == 0:
            progress(f"read {number} of {len(files)} files")
    return frames, errors


def _embed_reference(
    frames: Sequence[Frame], embedder: Any, samples: int | None, side: int | None, seed: int
) -> Any:
    from dataclasses import replace

    from engine.anomalies.images import embed_images, random_samples
    from engine.policy import generator_for

    if samples is None:
        return embed_images(frames, embedder)
    owners = [frame.digest for frame in frames for _ in range(samples)]

    def crops() -> Iterator[Frame]:
        for frame in frames:
            yield from random_samples(frame, samples, side, generator_for(frame.digest, seed))

    return replace(embed_images(crops(), embedder), keys=tuple(owners))


def _row(path: Path, reference: Reference, judged: Judged, row: int) -> dict[str, Any]:
    from engine.anomalies.pipeline import scores_of
    from engine.anomalies.policy import AnomalyPolicy
    from engine.anomalies.verdict import judge_detection

    scores = scores_of(judged, row, calibrated=True)
    p_value = float(judged.p_value[row])
    verdict, reason = judge_detection(
        AnomalyPolicy(), scores, p_value, voters=reference.voters, cosmic_ray_share=None
    )
    cells: dict[str, Any] = {"file": str(path), "verdict": str(verdict)}
    for item in reversed(scores):
        cells[f"{item.method}_score"] = item.raw
        cells[f"{item.method}_percentile"] = item.percentile
        cells[f"{item.method}_p_value"] = item.p_value
    return cells | {"reason": reason, "error": ""}


def _fit_simulated(
    name: str, embedder_name: str, frames: int, held_out: int, seed: int
) -> tuple[Reference, dict[str, Any], str]:
    from engine.anomalies.embedders import make_embedder
    from engine.anomalies.evaluation import evaluate
    from engine.anomalies.fitting import fit_reference
    from engine.anomalies.simulated import (
        cleaned_by,
        collect,
        held_out_frames,
        injected_frames,
        normals_of,
        reference_frames,
    )
    from engine.cosmicrays.pipeline import CosmicRayPipeline

    embedder = make_embedder(embedder_name)
    cosmic_rays = CosmicRayPipeline()

    def embedded(simulated: Iterator[SimulatedFrame], what: str) -> Sample:
        def say(number: int) -> None:
            if number % 20 == 0:
                progress(f"embedded {number} {what} frames")

        return collect(simulated, embedder, clean=cleaned_by(cosmic_rays), on_frame=say)

    normals = normals_of(embedded(reference_frames(frames), "reference"), embedder)
    fitted = fit_reference(name, normals)
    metrics = evaluate(
        fitted,
        embedded(held_out_frames(held_out), "held-out"),
        embedded(injected_frames(held_out, seed), "injected"),
    )
    data = (
        f"{frames} simulated frames of the nights reference-000 and following, anomalies left out "
        f"by truth, cosmic rays removed by model {cosmic_rays.model_digest[:12]}; tested on the "
        f"normals of {held_out} frames of the nights held-out-000 and following and the anomalies "
        "of as many frames with two galaxies in five anomalous"
    )
    return fitted, metrics, data


def _fit_folder(
    name: str, embedder_name: str, folder: Path, domain: list[str] | None
) -> tuple[Reference, dict[str, Any], str]:
    from engine.anomalies.embedders import make_embedder
    from engine.anomalies.images import cleaner_of, embed_cutouts, fit_images
    from engine.cosmicrays.pipeline import CosmicRayPipeline

    embedder = make_embedder(embedder_name)
    frames, unreadable = _first_frames(image_files([folder]))
    for path, reason in unreadable.items():
        print(f"left out {path.name}: {reason}", file=sys.stderr)
    images = embed_cutouts(frames.values(), embedder, clean=cleaner_of(CosmicRayPipeline()))
    fitted = fit_images(name, images, embedder, domain=domain or [folder_source(folder)])
    metrics = {
        "images": len(frames),
        "unreadable": len(unreadable),
        **{f"cutouts_{kind}": images.kinds.count(kind) for kind in sorted(set(images.kinds))},
        "fitted_kind": images.main_kind,
    }
    return fitted, metrics, f"folder {folder.name}"


def _headline(metrics: dict[str, Any]) -> dict[str, Any]:
    if "ranking" not in metrics:
        return metrics
    return {
        **{f"roc_auc_{name}": row["roc_auc"] for name, row in metrics["ranking"].items()},
        **{
            f"false_positives_{rate}": value
            for rate, value in metrics["realised_false_positive_rate"].items()
        },
        "class_accuracy": metrics["class_accuracy"]["all"],
    }
