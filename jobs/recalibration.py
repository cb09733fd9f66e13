"""A source's reference fitted anew: versions, who asked for it, and when drift asks by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from db.errors import StoreError
from db.store import Store
from engine.cards import ModelCard
from engine.errors import EngineError
from engine.frame import Frame
from jobs.errors import JobError, UsageError
from jobs.frames import frame_of
from jobs.ids import stable_id
from jobs.plan import version_of
from jobs.rows import Record

MOST_FRAMES = 300
LEAST_FRAMES = 20
REST = timedelta(days=1)
PREFIX = "reference"


@dataclass(frozen=True)
class Fitted:
    """What a worker made of a source's frames: the card of the reference that it saved."""

    card: ModelCard
    fitted_on: int
    calibrated_on: int


def next_name(folder: Path, source: str) -> str:
    """The name of a source's next reference: an earlier version is never written over."""
    stem = f"{PREFIX}-{stable_id(source)[:12]}"
    numbers = [version_of(path.stem) for path in folder.glob(f"{stem}-v*.json")]
    return f"{stem}-v{max(numbers, default=0) + 1}"


def normals_of(store: Store, source: str, most: int = MOST_FRAMES) -> list[Frame]:
    """The newest stored frames of a source, without those that people accepted a find on.

    What the machine holds for candidates stays in: to leave it out would make the next p-values
    too small. Raises UsageError where fewer than 20 frames have their pixels.
    """
    rows = store.rows(
        """
        SELECT frame_digest, max(seen_at) AS newest_at FROM intake
        WHERE source = ? AND outcome = 'stored' AND frame_digest IS NOT NULL
          AND frame_digest NOT IN (SELECT frame_digest FROM released_files)
          AND frame_digest NOT IN (
              SELECT d.frame_digest FROM detections d JOIN current_labels l USING (detection_id)
              WHERE l.label = 'accept')
        GROUP BY frame_digest ORDER BY newest_at DESC, frame_digest LIMIT ?
        """,
        [source, most],
    )
    if len(rows) < LEAST_FRAMES:
        raise UsageError(
            f"a calibration of {source} needs at least {LEAST_FRAMES} stored frames, "
            f"there are {len(rows)}: scan more of it first"
        )
    frames = []
    for row in rows:
        try:
            frames.append(frame_of(store, row["frame_digest"]))
        except (JobError, EngineError, StoreError):
            continue  # a frame that cannot be read is a failed run already
    return frames


def fit_source(
    frames: Sequence[Frame], source: str, name: str, folder: Path, embedder_name: str, now: datetime
) -> Fitted:
    """In a worker: fit both halves of the frames crosswise, save the reference with its card.

    No image is judged by the half that was fitted on it (`engine.anomalies.reference`).
    """
    from engine.anomalies.embedders import make_embedder
    from engine.anomalies.images import cleaner_of, embed_cutouts, fit_images
    from engine.cards import file_digest, write_card
    from engine.cosmicrays.pipeline import CosmicRayPipeline

    embedder = make_embedder(embedder_name)
    images = embed_cutouts(frames, embedder, clean=cleaner_of(CosmicRayPipeline()))
    reference = fit_images(name, images, embedder, domain=(source,))
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}.safetensors"
    reference.save(weights)
    card = ModelCard(
        name=name,
        pipeline="anomaly",
        digest=file_digest(weights),
        description="What normal detections of one source look like, fitted on its own frames.",
        architecture=reference.summary(),
        data=f"{len(frames)} stored frames of {source}",
        seed=0,
        command="skysieve (calibration of a stored source)",
        device="CPU",
        trained_at=now.isoformat(timespec="seconds"),
        metrics={"images": len(frames), f"cutouts_{images.main_kind}": len(images.keys)},
        calibration={"rows": reference.calibrated_on, "p_value": "split conformal"},
        limits="Calibrated for its own source only; elsewhere raw scores without p-values.",
    )
    write_card(folder, card)
    return Fitted(card, reference.fitted_on, reference.calibrated_on)


def note_calibration(
    store: Store,
    source: str,
    card: ModelCard,
    *,
    cause: str,
    now: datetime,
    reason: str = "",
) -> int | None:
    """Number a source's calibration and keep it; None where this one was noted before."""
    seen = store.rows(
        "SELECT max(version) AS n, bool_or(model_digest = ?) AS known FROM calibrations "
        "WHERE source = ?",
        [card.digest, source],
    )[0]
    if seen["known"]:
        return None
    version = int(seen["n"] or 0) + 1
    record = Record()
    record.row(
        "models", model_digest=card.digest, name=card.name, pipeline=card.pipeline,
        card=card.as_dict(), registered_at=now,
    )  # fmt: skip
    record.row(
        "calibrations",
        calibration_id=stable_id("calibration", source, card.digest),
        source=source,
        version=version,
        reference=card.name,
        model_digest=card.digest,
        fitted_on=int(card.architecture.get("fitted_on", 0)),
        calibrated_on=int(card.calibration.get("rows", 0)),
        cause=cause,
        reason=reason,
        made_at=now,
    )
    store.write(record.rows)
    return version


def note_if_own(store: Store, source: str, card: ModelCard, now: datetime) -> None:
    """Keep the calibration that somebody made for this very source outside of the owner."""
    if source in card.architecture.get("domain", ()):
        note_calibration(store, source, card, cause="person", now=now)


def drift_to_answer(store: Store, source: str, model_digest: str, now: datetime) -> str | None:
    """Why a source should be calibrated anew now, None where it should not.

    Once a day at most, and never while a calibration of it waits or runs.
    """
    expired = store.rows(
        "SELECT reason FROM expired_calibrations WHERE source = ? AND model_digest = ?",
        [source, model_digest],
    )
    asked = store.rows(
        """SELECT 1 FROM requests WHERE kind = 'calibrate'
           AND json_extract_string(payload, '$.source') = ?
           AND (state IN ('queued', 'running') OR asked_at > ?)""",
        [source, now - REST],
    )
    return str(expired[0]["reason"]) if expired and not asked else None


def embedder_of(card: ModelCard) -> str:
    """The embedder that a reference reads, to fit the next one with."""
    return str(card.architecture.get("embedder", ""))


def as_result(version: int | None, fitted: Fitted) -> dict[str, Any]:
    """What the request says when it is done."""
    return {
        "reference": fitted.card.name,
        "version": version,
        "fitted_on": fitted.fitted_on,
        "calibrated_on": fitted.calibrated_on,
    }
