"""From calibrated scores to a verdict, with the reason in one sentence."""

from __future__ import annotations

from engine.anomalies.policy import AnomalyPolicy
from engine.results import Score, Verdict

PRETTY = {
    "mahalanobis": "embedding distance",
    "knn": "distance to its nearest neighbours",
    "knn_morphology": "morphology",
    "mahalanobis_morphology": "distance of its morphology",
    "mahalanobis_fitted": "embedding distance of the object alone",
    "mahalanobis_fitted_morphology": "distance of the object's own morphology",
    "knn_fitted_morphology": "the object's own morphology",
    "pca_reconstruction_fitted_morphology": "reconstruction of the object's own morphology",
    "mahalanobis_zoom": "embedding distance of its centre",
    "knn_zoom_morphology": "morphology of its centre",
    "pca_reconstruction_morphology": "reconstruction of its morphology",
    "pca_reconstruction_zoom_morphology": "reconstruction of the morphology of its centre",
    "relative_mahalanobis": "distance to the nearest class",
    "isolation_forest": "isolation by random cuts",
    "vim": "virtual logit",
    "entropy": "class entropy",
    "vote": "vote of three methods",
    "pca_reconstruction": "reconstruction error",
    "msp": "class confidence",
    "energy": "class energy",
}


def outside_domain(source: str, kind: str) -> str:
    """The reason given where no reference was calibrated for what a source delivers."""
    what = "whole images" if kind == "image" else "sources"
    return (
        f"no calibrated reference for {what} of {source}: "
        "fit one with skysieve train anomaly --reference DIR"
    )


def judge_detection(
    policy: AnomalyPolicy,
    scores: tuple[Score, ...],
    p_value: float,
    *,
    voters: tuple[str, ...],
    cosmic_ray_share: float | None,
    is_line: bool = False,
) -> tuple[Verdict, str]:
    """The verdict on one calibrated detection and its reason.

    In this order: artefact (flux on cosmic rays, or a line across the frame), candidate
    (p <= false_positive_rate), near miss (p <= near_miss_rate), uncertain (one voting method alone
    has p <= false_positive_rate divided by the number of voters), normal.
    """
    artefact = artefact_reason(policy, cosmic_ray_share, is_line=is_line)
    if artefact is not None:
        return Verdict.ARTEFACT, artefact
    votes = [score for score in scores if score.method in voters and score.p_value is not None]
    strongest = min(votes, key=lambda vote: vote.p_value or 1.0)
    name = PRETTY.get(strongest.method, strongest.method)
    alone = f"{name} alone has p = {strongest.p_value:.2g}"
    if p_value <= policy.false_positive_rate:
        return Verdict.CANDIDATE, (
            f"p = {p_value:.2g} is within the {policy.false_positive_rate:.2g} allowed for false "
            f"alarms, led by {name} (percentile {strongest.percentile:.1f})"
        )
    if p_value <= policy.near_miss_rate:
        return Verdict.NEAR_MISS, (
            f"p = {p_value:.2g} misses the {policy.false_positive_rate:.2g} allowed for false "
            f"alarms but is within {policy.near_miss_rate:.2g}; {alone}"
        )
    if (strongest.p_value or 1.0) <= policy.false_positive_rate / len(voters):
        return Verdict.UNCERTAIN, f"the methods disagree: {alone}, combined p = {p_value:.2g}"
    return Verdict.NORMAL, f"p = {p_value:.2g}: ordinary among the reference's normals"


def artefact_reason(
    policy: AnomalyPolicy, cosmic_ray_share: float | None, *, is_line: bool
) -> str | None:
    """Why a detection is an artefact of the camera or of something passing, None when it is not."""
    if cosmic_ray_share is not None and cosmic_ray_share > policy.cosmic_ray_share:
        return f"{cosmic_ray_share:.0%} of its flux lies on cosmic-ray pixels"
    if is_line:
        return "a straight line across the frame: a trail or a bad column"
    return None
