"""Pipelines and workers without torch, for benches that look at the loop and not at results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from engine.anomalies.policy import AnomalyPolicy
from engine.cards import ModelCard
from engine.codec.policy import CodecPolicy
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.frame import Frame
from engine.results import (
    Analysis,
    AnomalyResult,
    CodecResult,
    CodecTile,
    Detection,
    Inapplicable,
    Outcome,
    Score,
    Step,
    Verdict,
)
from jobs.plan import Choice, Plan
from jobs.records import Record, record_of
from jobs.worker import process

T = TypeVar("T")
CANDIDATES_IN = 4


class FakeWorkers:
    """Runs calls in the calling thread; the pipelines of `process` are replaced by cheap ones."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run and return."""
        if cast(object, function) is process:
            return cast(T, fake_process(*args))
        return function(*args)

    def close(self) -> None:
        """There is nothing to stop."""


def fake_plan(*_: object, aggressive: bool = False, **__: object) -> Plan:
    """The three pipelines with cards of weights that nobody has, and real policies."""
    rate = 0.05 if aggressive else 0.01
    return Plan(
        cosmicrays=Choice(_card("cosmicrays"), CosmicRayPolicy(), Path()),
        anomaly=Choice(_card("anomaly"), AnomalyPolicy(false_positive_rate=rate), Path()),
        codec=Choice(_card("codec"), CodecPolicy(), Path()),
    )


def fake_process(frame: Frame, plan: Plan, cycle_id: str) -> Record:
    """Rows and files as of a real analysis: cosmic rays do not apply, one detection a frame."""
    outcomes = (
        Inapplicable("8-bit samples show no cosmic rays"),
        _found(frame),
        coded_as_mean(frame),
    )
    steps = tuple(
        Step(choice.pipeline, choice.card.digest, choice.policy.digest, outcome, 0.001)
        for choice, outcome in zip(plan.choices, outcomes, strict=True)
    )
    analysis = Analysis(frame.digest, steps)
    return record_of(frame, analysis, cycle_id=cycle_id, now=datetime.now(UTC))


def _card(pipeline: str) -> ModelCard:
    return ModelCard(
        name=f"fake-{pipeline}", pipeline=pipeline, digest=f"fake-{pipeline}", description="",
        architecture={}, data="", seed=0, command="", device="",
        trained_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def _found(frame: Frame) -> Outcome:
    """One detection in the middle, a candidate in every fourth frame by its digest."""
    middle = frame.filled()[..., 4:12, 4:12]
    odd = int(frame.digest[:8], 16) % CANDIDATES_IN == 0
    p_value = 0.0005 if odd else 0.4
    detection = Detection(
        kind="image", x=frame.width / 2, y=frame.height / 2, size_px=8, cutout=middle,
        embedding=np.ones(4, dtype=np.float32),
        verdict=Verdict.CANDIDATE if odd else Verdict.NORMAL,
        scores=(Score("combined", float(middle.sum()), 100 * (1 - p_value), p_value),),
        reason="fake", p_value=p_value, ra_deg=10.0, dec_deg=20.0, rank=float(middle.sum()),
    )  # fmt: skip
    return AnomalyResult((detection,), "fake", "fake")


def coded_as_mean(frame: Frame) -> CodecResult:
    """The mean of a frame, in four bytes."""
    mean = np.full_like(frame.filled(), frame.filled().mean())
    error = float((frame.filled() - mean).std())
    flat = np.full((frame.height, frame.width), error, dtype=np.float32)
    tile = CodecTile(0, 0, 0, 0, frame.height, frame.width, 4, error, error, error)
    bpp = 32 / mean.size
    return CodecResult(
        bitstream=mean.flat[0].tobytes(), reconstruction=mean, confidence=flat,
        predicted_rmse=flat, bpp=bpp, compression_ratio=frame.sample_bits / bpp,
        sample_bits=frame.sample_bits, psnr_db=20.0, peak=float(frame.filled().max()),
        ms_ssim=0.5, gradient_error=1.0, rmse=error, dropout_spearman=float("nan"),
        predicted_spearman=float("nan"), samples=8, tiles=(tile,),
    )  # fmt: skip
