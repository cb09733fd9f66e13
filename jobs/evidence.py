"""Evidence about detections and products of time series, as rows and files."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from engine.anomalies.timeseries import SeriesResult
from engine.frame import Frame
from engine.results import Evidence
from engine.stretch import map_png, preview_png
from jobs.ids import stable_id
from jobs.rows import Record

SCALARS = (
    "perceptual_hash", "preprocessing", "area_px", "magnitude", "elongation", "edge_px",
    "good_share", "conditioned_p_value", "artefact_probability", "artefact_kind",
    "artefact_model", "vanishes",
)  # fmt: skip
HEAT_TOP = 1.5
MOST_VARIABLE = 5.0


def add_evidence(record: Record, detection_id: str, evidence: Evidence) -> None:
    """Add the rows and the heat map of one detection's evidence."""
    heat = evidence.heat_map
    record.row(
        "detection_evidence",
        detection_id=detection_id,
        heat_map_file=None if heat is None else record.file(map_png(heat, low=0.0, high=HEAT_TOP)),
        **{name: getattr(evidence, name) for name in SCALARS},
    )
    for version in evidence.versions:
        record.row(
            "detection_versions",
            detection_id=detection_id,
            version=version.version,
            flux=version.flux,
            snr=version.snr,
            found=version.found,
        )
        for score in version.scores:
            record.row(
                "version_scores",
                detection_id=detection_id,
                version=version.version,
                **asdict(score),
            )
    for method, share in evidence.contributions:
        record.row("score_contributions", detection_id=detection_id, method=method, share=share)


def series_record(frame: Frame, series: SeriesResult, now: datetime) -> Record:
    """The stack, the variability image and the transients of the series behind a frame."""
    record = Record()
    if series.cadences == 0:
        return record
    pictures = {
        "stack": (preview_png(series.stack), "median of the good cadences"),
        "variability": (
            map_png(series.variability, low=0.0, high=MOST_VARIABLE),
            "each pixel's scatter over its own cadence-to-cadence noise; 1 is quiet, "
            f"{MOST_VARIABLE:g} and more the brightest colour",
        ),
    }
    for kind, (picture, note) in pictures.items():
        record.row(
            "frame_products",
            frame_digest=frame.digest,
            kind=kind,
            product_file=record.file(picture),
            cadences=series.cadences,
            note=note,
            made_at=now,
        )
    for flare in series.transients:
        place = (frame.digest, flare.first_cadence, round(flare.x, 3), round(flare.y, 3))
        record.row(
            "transients",
            transient_id=stable_id("transient", *place),
            frame_digest=frame.digest,
            found_at=now,
            **asdict(flare),
        )
    return record
