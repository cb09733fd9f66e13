"""The models and policies that a cycle works with, and the calibration on their cards, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.cards import ModelCard
from engine.metrics.measurement import ALL, SHIPPED
from jobs.ids import stable_id
from jobs.plan import Plan
from jobs.records import Record

SCALARS = (
    "dataset", "n", "positives", "brier", "nll", "ece", "ece_equal_mass", "ece_by_class",
    "ece_bins", "ece_norm", "aurc", "temperature",
)  # fmt: skip


def registration(plan: Plan, now: datetime) -> Record:
    """Rows for what the plan uses; registering twice changes nothing."""
    record = Record()
    for choice in plan.choices:
        _register_model(record, choice.card, now)
        record.row(
            "policies",
            policy_digest=choice.policy.digest,
            pipeline=choice.pipeline,
            policy=choice.policy.as_dict(),
            registered_at=now,
        )
    return record


def _register_model(record: Record, card: ModelCard, now: datetime) -> None:
    record.row(
        "models",
        model_digest=card.digest,
        name=card.name,
        pipeline=card.pipeline,
        card=card.as_dict(),
        registered_at=now,
    )
    reports = card.calibration.get("reports", ())
    for dataset in dict.fromkeys(report["dataset"] for report in reports):
        variants = [report for report in reports if report["dataset"] == dataset]
        measured_at = datetime.fromisoformat(card.trained_at)
        add_measurement(record, variants, card, measured_at, scope="card", series=dataset)


def report_id_of(
    scope: str, model_digest: str, dataset: str, pixels: str = ALL, stage: str = SHIPPED
) -> str:
    """The natural key of a calibration report."""
    about = () if (pixels, stage) == (ALL, SHIPPED) else (pixels, stage)
    return stable_id("report", scope, model_digest, dataset, *about)


def add_measurement(
    record: Record,
    variants: Sequence[Mapping[str, Any]],
    card: ModelCard,
    measured_at: datetime,
    *,
    scope: str,
    series: str,
    frames: int | None = None,
) -> None:
    """Add the reports of one measurement (`Variant.as_dict`, or `CalibrationReport.as_dict`).

    `scope` keeps measurements apart, `series` joins those that make one line over time. A report
    that does not say what it is about is over all pixels, as shipped.
    """
    for report in variants:
        pixels, stage = report.get("pixels", ALL), report.get("stage", SHIPPED)
        report_id = report_id_of(scope, card.digest, report["dataset"], pixels, stage)
        shipped = float(card.calibration.get("temperature", 1.0))
        record.row(
            "calibration_reports",
            report_id=report_id,
            model_digest=card.digest,
            pipeline=card.pipeline,
            measured_at=measured_at,
            measurement_id=report_id_of(scope, card.digest, report["dataset"]),
            series=series,
            frames=frames,
            pixels=pixels,
            stage=stage,
            applied_temperature=shipped if stage == SHIPPED else 1.0,
            **{name: report[name] for name in SCALARS},
        )
        _add_curves(record, report_id, report)


def _add_curves(record: Record, report_id: str, report: Mapping[str, Any]) -> None:
    for number, bin_ in enumerate(report["reliability"]):
        record.row(
            "reliability_bins",
            report_id=report_id,
            bin=number,
            low=bin_["lower"],
            high=bin_["upper"],
            n=bin_["count"],
            mean_probability=bin_["confidence"],
            observed_frequency=bin_["frequency"],
        )
    for coverage, risk in report["risk_coverage"]:
        record.row("risk_coverage_points", report_id=report_id, coverage=coverage, risk=risk)
