"""Verdicts in their order, and policies that make no sense."""

from __future__ import annotations

import pytest

from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.verdict import judge_detection
from engine.results import Score, Verdict

VOTERS = ("mahalanobis", "knn_morphology")


def judged(
    p_value: float,
    votes: tuple[float, float] = (0.4, 0.4),
    share: float | None = None,
    *,
    is_line: bool = False,
) -> tuple[Verdict, str]:
    scores = (
        *(Score(name, 1.0, 50.0, p) for name, p in zip(VOTERS, votes, strict=True)),
        Score("energy", 1.0, 50.0, 0.0001),
    )
    return judge_detection(
        AnomalyPolicy(), scores, p_value, voters=VOTERS, cosmic_ray_share=share, is_line=is_line
    )


@pytest.mark.parametrize(
    ("p_value", "votes", "verdict"),
    [
        (0.01, (0.02, 0.02), Verdict.CANDIDATE),
        (0.0101, (0.02, 0.02), Verdict.NEAR_MISS),
        (0.05, (0.005, 0.9), Verdict.NEAR_MISS),
        (0.06, (0.005, 0.9), Verdict.UNCERTAIN),
        (0.06, (0.0051, 0.9), Verdict.NORMAL),
        (1.0, (0.9, 0.9), Verdict.NORMAL),
    ],
)
def test_verdicts_by_rate(p_value: float, votes: tuple[float, float], verdict: Verdict) -> None:
    assert judged(p_value, votes)[0] is verdict


def test_light_on_cosmic_rays_and_lines_are_artefacts_however_odd() -> None:
    assert judged(0.001, share=0.51) == (
        Verdict.ARTEFACT,
        "51% of its flux lies on cosmic-ray pixels",
    )
    assert judged(0.001, share=0.5)[0] is Verdict.CANDIDATE
    assert judged(0.001, is_line=True)[0] is Verdict.ARTEFACT


def test_reasons_name_the_numbers_and_the_leading_method() -> None:
    assert "p = 0.002" in judged(0.002, (0.3, 0.01))[1]
    assert "led by morphology" in judged(0.002, (0.3, 0.01))[1]
    assert "embedding distance alone has p = 0.004" in judged(0.2, (0.004, 0.9))[1]


def test_methods_that_do_not_vote_decide_nothing() -> None:
    assert judged(0.5)[0] is Verdict.NORMAL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"false_positive_rate": 0.0}, "rates must satisfy"),
        ({"false_positive_rate": 0.1}, "rates must satisfy"),
        ({"near_miss_rate": 1.0}, "rates must satisfy"),
        ({"cosmic_ray_share": 1.2}, "cosmic_ray_share must be in"),
        ({"max_detections": 0}, "max_detections must be at least 1"),
        ({"cutout_mode": "all"}, "cutout_mode must be auto, sources or image"),
    ],
)
def test_policies_without_meaning_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnomalyPolicy(**changes)


def test_every_field_changes_the_digest() -> None:
    digests = {
        policy.digest
        for policy in (
            AnomalyPolicy(),
            AnomalyPolicy(false_positive_rate=0.02),
            AnomalyPolicy(cutout_mode="image"),
            AnomalyPolicy(max_detections=3),
            AnomalyPolicy(seed=1),
        )
    }
    assert len(digests) == 5
