"""The models and policies that a cycle works with, and the calibration on their cards, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.cards import ModelCard
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
    for report in card.calibration.get("reports", ()):
        measured_at = datetime.fromisoformat(card.trained_at)
        add_report(record, report, card.pipeline, card.digest, measured_at, scope="card")


def report_id_of(scope: str, model_digest: str, dataset: str) -> str:
    """The natural key of a calibration report."""
    return stable_id("report", scope, model_digest, dataset)


def add_report(
    record: Record,
    report: dict[str, Any],
    pipeline: str,
    model_digest: str,
    measured_at: datetime,
    *,
    scope: str,
) -> None:
    """Add one calibration report (`CalibrationReport.as_dict`); `scope` keeps reports apart."""
    report_id = report_id_of(scope, model_digest, report["dataset"])
    record.row(
        "calibration_reports",
        report_id=report_id,
        model_digest=model_digest,
        pipeline=pipeline,
        measured_at=measured_at,
        **{name: report[name] for name in SCALARS},
    )
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
