"""Results turned into rows and files: the only place that knows both engine's and db's names."""

from __future__ import annotations

import traceback
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.frame import Frame, Pixels
from engine.results import (
    Analysis,
    AnomalyResult,
    CodecResult,
    CosmicRayResult,
    Detection,
    Failure,
    Inapplicable,
    Step,
)
from engine.stretch import map_png, preview_png
from jobs.evidence import add_evidence
from jobs.ids import stable_id
from jobs.packing import pack_arrays, pack_frame
from jobs.rows import Record as Record
from jobs.rows import Row

LN2 = float(np.log(2.0))
HALF_RANGE = 60_000.0
BEFORE_RUNS = ("frames", "observations", "intake")


def record_of(frame: Frame, analysis: Analysis, *, cycle_id: str, now: datetime) -> Record:
    """The frame and what each pipeline made of it."""
    record = Record()
    _frame_row(record, frame, now)
    for step in analysis.steps:
        record.merge(_step_record(frame, step, cycle_id, now))
    return record


def failed_runs(analysis: Analysis, *, cycle_id: str, now: datetime) -> Record:
    """The runs of an analysis that failed before there was a frame to run on."""
    record = Record()
    for step in analysis.steps:
        _run_row(record, analysis.frame_digest, step, cycle_id, now)
    return record


def without_results(record: Record, reason: str, cycle_id: str) -> Record:
    """The same frames and intake with every run failed for `reason`: its rows fit no table."""
    kept = {name: record.rows[name] for name in BEFORE_RUNS if name in record.rows}
    failed = [
        {**run, "run_id": stable_id(run["run_id"], cycle_id), "status": "failed", "reason": reason}
        for run in record.rows.get("runs", ())
    ]
    return Record({**kept, "runs": failed}, record.files)


def run_id_of(frame_digest: str, pipeline: str, model_digest: str, policy_digest: str) -> str:
    """The natural key of a run."""
    return stable_id("run", frame_digest, pipeline, model_digest, policy_digest)


def observation_row(frame: Frame, now: datetime) -> Row:
    """The sky context of a frame; the same frame may be seen in several observations."""
    origin = asdict(frame.origin)
    return {
        "observation_id": stable_id("observation", frame.digest, *origin.values()),
        "frame_digest": frame.digest,
        **origin,
        "header": frame.header,
        "seen_at": now,
    }


def _frame_row(record: Record, frame: Frame, now: datetime) -> None:
    good = frame.pixels[..., ~frame.mask]
    record.row(
        "frames",
        frame_digest=frame.digest,
        height=frame.height,
        width=frame.width,
        planes=frame.planes,
        sample_type=frame.sample_type,
        unit=frame.unit,
        masked_pixels=int(frame.mask.sum()),
        median=float(np.median(good)),
        pixels_file=record.file(pack_frame(frame)),
        preview_file=record.file(preview_png(_shown(frame.pixels), frame.mask)),
        stored_at=now,
    )


def _step_record(frame: Frame, step: Step, cycle_id: str, now: datetime) -> Record:
    """One step's rows; a result that cannot be told as rows and pictures is a failure."""
    record = Record()
    try:
        _result_rows(record, frame, step, now)
    except Exception as error:  # noqa: BLE001  one frame's failure must not stop the cycle
        reason = f"its result cannot be stored ({type(error).__name__}: {error})"
        step = replace(step, outcome=Failure(reason, traceback.format_exc(limit=20)))
        record = Record()
    _run_row(record, frame.digest, step, cycle_id, now)
    return record


def _result_rows(record: Record, frame: Frame, step: Step, now: datetime) -> None:
    run_id = run_id_of(frame.digest, step.pipeline, step.model_digest, step.policy_digest)
    match step.outcome:
        case CodecResult() as codec:
            _codec_rows(record, frame, run_id, codec)
        case CosmicRayResult() as cosmic_rays:
            _cosmic_ray_rows(record, frame, run_id, cosmic_rays)
        case AnomalyResult() as anomalies:
            for detection in anomalies.detections:
                _detection_rows(record, frame, run_id, anomalies, detection, now)


def _run_row(record: Record, frame_digest: str, step: Step, cycle_id: str, now: datetime) -> None:
    run_id = run_id_of(frame_digest, step.pipeline, step.model_digest, step.policy_digest)
    status, reason, trace = "ok", "", ""
    match step.outcome:
        case Inapplicable(reason=why):
            status, reason = "not_applicable", why
        case Failure(reason=why, trace=where):
            # A failure is kept under its own key, so that a later attempt can still succeed.
            run_id = stable_id(run_id, cycle_id)
            status, reason, trace = "failed", why, where
    record.row(
        "runs",
        run_id=run_id,
        frame_digest=frame_digest,
        pipeline=step.pipeline,
        model_digest=step.model_digest,
        policy_digest=step.policy_digest,
        status=status,
        reason=reason,
        trace=trace,
        duration_s=step.duration_s,
        cycle_id=cycle_id,
        finished_at=now,
    )


def _shown(pixels: Pixels) -> Pixels:
    """What a picture can show: grey or three colours as they are, else the first plane."""
    return pixels if pixels.ndim == 2 or pixels.shape[0] == 3 else pixels[0]


def _finite(value: float) -> float | None:
    """NULL for what could not be measured (NaN), so that no average takes it for a number."""
    return float(value) if np.isfinite(value) else None


def _codec_rows(record: Record, frame: Frame, run_id: str, result: CodecResult) -> None:
    error = np.abs(result.reconstruction - frame.filled())
    error_plane = error if error.ndim == 2 else error.max(axis=0)
    shared_top = max(
        float(np.percentile(image[~frame.mask], 99.5))
        for image in (error_plane, result.confidence, result.predicted_rmse)
    )

    def uncertainty(values: NDArray[np.float32]) -> str:
        return record.file(map_png(values, low=0.0, high=max(shared_top, 1e-12)))

    record.row(
        "codec_runs",
        run_id=run_id,
        bytes=len(result.bitstream),
        bpp=result.bpp,
        sample_bits=result.sample_bits,
        compression_ratio=result.compression_ratio,
        psnr_db=_finite(result.psnr_db),
        peak=result.peak,
        ms_ssim=_finite(result.ms_ssim),
        gradient_error=result.gradient_error,
        rmse=result.rmse,
        dropout_spearman=_finite(result.dropout_spearman),
        predicted_spearman=_finite(result.predicted_spearman),
        samples=result.samples,
        bitstream_file=record.file(result.bitstream),
        reconstruction_file=record.file(
            preview_png(_shown(result.reconstruction), frame.mask, like=_shown(frame.pixels))
        ),
        confidence_file=uncertainty(result.confidence),
        predicted_file=uncertainty(result.predicted_rmse),
        error_file=uncertainty(error_plane),
        arrays_file=record.file(_codec_arrays(frame, result)),
        bound_map=result.bound_map,
    )
    for tile in result.tiles:
        columns = asdict(tile)
        record.row(
            "codec_tiles",
            run_id=run_id,
            tile_row=columns.pop("row"),
            tile_column=columns.pop("column"),
            **columns,
        )


def _codec_arrays(frame: Frame, result: CodecResult) -> bytes:
    """The signed error of each pixel, of several planes the largest, and the bound on it."""
    error = (result.reconstruction - frame.filled()).reshape(-1, frame.height, frame.width)
    largest = np.abs(error).argmax(axis=0)
    arrays = {"difference": np.take_along_axis(error, largest[None], axis=0)[0]}
    if result.bound_90 is not None:
        arrays["bound"] = result.bound_90
    return pack_arrays(**{name: _half(values) for name, values in arrays.items()})


def _half(values: NDArray[np.float32]) -> NDArray[np.floating]:
    """In half precision where its range holds them."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    return values.astype(np.float16 if largest < HALF_RANGE else np.float32)


def _cosmic_ray_rows(record: Record, frame: Frame, run_id: str, result: CosmicRayResult) -> None:
    _, hits = ndimage.label(result.mask, structure=np.ones((3, 3)))
    good = ~frame.mask
    record.row(
        "cosmic_ray_runs",
        run_id=run_id,
        method=result.method,
        samples=result.samples,
        threshold=result.threshold,
        pixels=int(good.sum()),
        flagged_pixels=int(result.mask.sum()),
        hits=int(hits),
        mean_entropy=float(result.predictive_entropy[good].mean()),
        mean_information=float(result.mutual_information[good].mean()),
        probability_array=record.file(
            pack_arrays(probability=result.probability.astype(np.float16))
        ),
        probability_file=record.file(map_png(result.probability, low=0.0, high=1.0)),
        entropy_file=record.file(map_png(result.predictive_entropy, low=0.0, high=LN2)),
        information_file=record.file(map_png(result.mutual_information, low=0.0, high=LN2 / 4)),
        mask_file=record.file(map_png(result.mask.astype(np.float32), low=0.0, high=1.0)),
        cleaned_file=record.file(preview_png(result.cleaned, frame.mask, like=frame.pixels)),
        information_values_file=record.file(
            pack_arrays(information=result.mutual_information.astype(np.float16))
        ),
        cleaned_values_file=record.file(_inpainted(result)),
    )


def _inpainted(result: CosmicRayResult) -> bytes:
    """The inpainted pixels alone, by flat index: with the frame they make the cleaned one."""
    pixels = np.flatnonzero(result.mask)
    return pack_arrays(index=pixels, value=result.cleaned.ravel()[pixels].astype(np.float32))


def _detection_rows(
    record: Record,
    frame: Frame,
    run_id: str,
    result: AnomalyResult,
    detection: Detection,
    now: datetime,
) -> None:
    detection_id = stable_id("detection", run_id, detection.kind, detection.x, detection.y)
    record.row(
        "detections",
        detection_id=detection_id,
        run_id=run_id,
        frame_digest=frame.digest,
        kind=detection.kind,
        x=detection.x,
        y=detection.y,
        size_px=detection.size_px,
        ra_deg=detection.ra_deg,
        dec_deg=detection.dec_deg,
        flux=detection.flux,
        snr=detection.snr,
        cosmic_ray_share=detection.cosmic_ray_share,
        verdict=str(detection.verdict),
        reason=detection.reason,
        p_value=detection.p_value,
        rank_score=detection.rank,
        class_name=detection.class_name,
        class_probability=detection.class_probability,
        embedder=result.embedder,
        reference=result.reference,
        cutout_file=record.file(preview_png(_shown(detection.cutout), method="asinh")),
        detected_at=now,
    )
    for score in detection.scores:
        record.row("scores", detection_id=detection_id, **asdict(score))
    record.row(
        "embeddings",
        detection_id=detection_id,
        embedder=result.embedder,
        vector=np.asarray(detection.embedding, dtype=np.float32),
    )
    if detection.evidence is not None:
        add_evidence(record, detection_id, detection.evidence)
