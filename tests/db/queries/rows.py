"""Rows with only what a test is about spelled out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def frame(name: str, **columns: Any) -> dict[str, Any]:
    row = {
        "frame_digest": name,
        "height": 4,
        "width": 8,
        "planes": 1,
        "sample_type": "int16",
        "unit": "",
        "masked_pixels": 0,
        "median": 1.0,
        "pixels_file": "p",
        "preview_file": "q",
        "stored_at": T0,
    }
    return row | columns


def observation(frame_digest: str, **columns: Any) -> dict[str, Any]:
    row = {
        "observation_id": f"o-{frame_digest}",
        "frame_digest": frame_digest,
        "source": "sim",
        "object_id": f"name of {frame_digest}",
        "part": "",
        "uri": "",
        "header": "",
        "seen_at": T0,
    }
    return row | columns


def run(
    run_id: str, frame_digest: str, pipeline: str = "anomaly", **columns: Any
) -> dict[str, Any]:
    row = {
        "run_id": run_id,
        "frame_digest": frame_digest,
        "pipeline": pipeline,
        "model_digest": "model",
        "policy_digest": "policy",
        "status": "ok",
        "reason": "",
        "trace": "",
        "duration_s": 1.0,
        "cycle_id": "cycle",
        "finished_at": T0,
    }
    return row | columns


def codec_run(run_id: str, **columns: Any) -> dict[str, Any]:
    row = {
        "run_id": run_id,
        "bytes": 16,
        "bpp": 4.0,
        "sample_bits": 16,
        "compression_ratio": 4.0,
        "psnr_db": 40.0,
        "peak": 1.0,
        "ms_ssim": 0.9,
        "gradient_error": 0.1,
        "rmse": 0.1,
        "dropout_spearman": 0.5,
        "predicted_spearman": 0.8,
        "samples": 8,
    }
    files = ("bitstream", "reconstruction", "confidence", "predicted", "error")
    return row | {f"{name}_file": "f" for name in files} | columns


def detection(detection_id: str, run_id: str = "r", **columns: Any) -> dict[str, Any]:
    row = {
        "detection_id": detection_id,
        "run_id": run_id,
        "frame_digest": "f",
        "kind": "source",
        "x": 1.0,
        "y": 2.0,
        "size_px": 16,
        "verdict": "normal",
        "reason": "within the reference",
        "p_value": 0.5,
        "rank_score": 0.0,
        "embedder": "e",
        "reference": "ref",
        "cutout_file": "c",
        "detected_at": T0,
    }
    return row | columns


def label(label_id: str, detection_id: str, said: str, who: str, **columns: Any) -> dict[str, Any]:
    row = {
        "label_id": label_id,
        "detection_id": detection_id,
        "label": said,
        "labeller": who,
        "undoes": None,
        "labelled_at": T0,
    }
    return row | columns


def undo(label_id: str, undoes: str, detection_id: str, who: str, minutes: float) -> dict[str, Any]:
    return label(label_id, detection_id, "undo", who, undoes=undoes, labelled_at=at(minutes))


def asked(detection_id: str, service: str, answer: str, **columns: Any) -> dict[str, Any]:
    row = {
        "query_id": f"{detection_id}-{service}-{answer}",
        "detection_id": detection_id,
        "service": service,
        "ra_deg": 1.0,
        "dec_deg": 2.0,
        "radius_arcsec": 5.0,
        "answer": answer,
        "reason": "",
        "asked_at": T0,
    }
    return row | columns
