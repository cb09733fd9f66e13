"""What runs inside a worker: one frame through the three pipelines, one step's failure its own."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from engine.anomalies.policy import AnomalyPolicy
from engine.codec.policy import CodecPolicy
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.errors import EngineError, NotApplicable
from engine.frame import Frame, Pixels
from engine.policy import generator_for
from engine.results import (
    Analysis,
    CodecResult,
    CosmicRayResult,
    Failure,
    Inapplicable,
    Outcome,
    PipelineResult,
    Step,
)
from jobs.evidence import series_record
from jobs.plan import Choice, P, Plan
from jobs.records import Record, record_of

if TYPE_CHECKING:
    from engine.anomalies.pipeline import AnomalyPipeline
    from engine.anomalies.timeseries import SeriesResult
    from engine.codec.pipeline import CodecPipeline
    from engine.cosmicrays.pipeline import CosmicRayPipeline


def process(frame: Frame, plan: Plan, cycle_id: str) -> Record:
    """Analyse one frame and turn the result into the rows and files to be stored."""
    analysis = analyse(frame, plan)
    now = datetime.now(UTC)
    record = record_of(frame, analysis, cycle_id=cycle_id, now=now)
    series = _series_of(frame)
    if series is not None:
        record.merge(series_record(frame, series, now))
    return record


def analyse(frame: Frame, plan: Plan) -> Analysis:
    """Run cosmic rays, the codec, and anomalies on the cleaned, the raw and the decoded frame."""
    cosmic_rays = _step(frame, plan.cosmicrays, _run_cosmic_rays)
    found = cosmic_rays.outcome if isinstance(cosmic_rays.outcome, CosmicRayResult) else None
    codec = _step(frame, plan.codec, _run_codec)
    decoded = codec.outcome.reconstruction if isinstance(codec.outcome, CodecResult) else None
    anomaly = _step(frame, plan.anomaly, lambda choice, f: _run_anomaly(choice, f, found, decoded))
    return Analysis(frame.digest, (cosmic_rays, anomaly, codec))


def lost_analysis(frame_digest: str, plan: Plan, reason: str) -> Analysis:
    """The analysis of a frame whose workers died: three failed steps with the reason."""
    failure = Failure(reason)
    steps = [
        Step(choice.pipeline, choice.card.digest, choice.policy.digest, failure, 0.0)
        for choice in plan.choices
    ]
    return Analysis(frame_digest, tuple(steps))


def _step(
    frame: Frame, choice: Choice[P], run: Callable[[Choice[P], Frame], PipelineResult]
) -> Step:
    started = time.perf_counter()
    outcome: Outcome
    try:
        outcome = run(choice, frame)
    except NotApplicable as error:
        outcome = Inapplicable(str(error))
    except Exception as error:  # noqa: BLE001  one frame's failure must not stop the cycle
        outcome = Failure(f"{type(error).__name__}: {error}", traceback.format_exc(limit=20))
    duration_s = time.perf_counter() - started
    return Step(choice.pipeline, choice.card.digest, choice.policy.digest, outcome, duration_s)


def _run_cosmic_rays(choice: Choice[CosmicRayPolicy], frame: Frame) -> PipelineResult:
    pipeline = _cosmic_ray_pipeline(choice.policy, choice.folder, choice.card.digest)
    return pipeline.run(frame, generator_for(frame.digest, choice.policy.seed))


def _run_anomaly(
    choice: Choice[AnomalyPolicy],
    frame: Frame,
    found: CosmicRayResult | None,
    decoded: Pixels | None,
) -> PipelineResult:
    pipeline = _anomaly_pipeline(choice.policy, choice.folder, choice.card.name, choice.card.digest)
    rng = generator_for(frame.digest, choice.policy.seed)
    return pipeline.run(frame, rng, cosmic_rays=found, decoded=decoded)


def _series_of(frame: Frame) -> SeriesResult | None:
    """What the time series behind a stack of cadences shows, where its file is at hand."""
    path = series_path(frame)
    if path is None:
        return None
    from engine.anomalies.timeseries import analyse_series, read_series

    try:
        series = read_series(path)
    except EngineError:
        return None  # the frame itself was read; its file went away since
    return None if series is None else analyse_series(series)


def series_path(frame: Frame) -> Path | None:
    """The local file that a frame was stacked from, None where it is no stack or not at hand."""
    if ".FLUX[median of" not in frame.origin.part:
        return None
    uri = frame.origin.uri
    path = Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
    return path if path.is_file() else None


def _run_codec(choice: Choice[CodecPolicy], frame: Frame) -> PipelineResult:
    pipeline = _codec_pipeline(choice.policy, choice.folder, choice.card.digest)
    return pipeline.run(frame, generator_for(frame.digest, choice.policy.seed))


# Loaded once a worker; the weights' digest is in the key, so that new weights are loaded anew.


@lru_cache(maxsize=2)
def _cosmic_ray_pipeline(policy: CosmicRayPolicy, folder: Path, _digest: str) -> CosmicRayPipeline:
    from engine.cosmicrays.pipeline import CosmicRayPipeline

    return CosmicRayPipeline(policy, folder)


@lru_cache(maxsize=4)
def _anomaly_pipeline(
    policy: AnomalyPolicy, folder: Path, name: str, _digest: str
) -> AnomalyPipeline:
    from engine.anomalies.pipeline import AnomalyPipeline

    return AnomalyPipeline(policy, folder, name)


@lru_cache(maxsize=2)
def _codec_pipeline(policy: CodecPolicy, folder: Path, _digest: str) -> CodecPipeline:
    from engine.codec.pipeline import CodecPipeline

    return CodecPipeline(policy, folder)
