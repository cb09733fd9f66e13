"""What may be judged of a frame that has not arrived whole: only what arrived refined."""

from __future__ import annotations

from dataclasses import replace

from engine.frame import Mask
from engine.results import AnomalyResult, Detection, Verdict

LEAST_REFINED = 0.5
"""Share of a cutout that must have been refined before its p-value is believed."""


def judged_where_refined(
    result: AnomalyResult, refined: Mask, least_share: float = LEAST_REFINED
) -> AnomalyResult:
    """Take back p-value and verdict where too little of a cutout arrived refined.

    A coarse base has lost its noise and its faint detail: a reference of noisy frames finds almost
    everything on it odd. `refined` bool (H, W) is True where a refinement arrived. A detection with
    less than `least_share` of its cutout refined becomes uncertain, without p-value and rank.
    """
    return replace(
        result,
        detections=tuple(
            found if refined_share(found, refined) >= least_share else _unjudged(found)
            for found in result.detections
        ),
    )


def refined_share(found: Detection, refined: Mask) -> float:
    """Share of a detection's cutout, within the frame, that arrived refined."""
    y0, x0 = round(found.y) - found.size_px // 2, round(found.x) - found.size_px // 2
    rows = slice(max(y0, 0), max(y0 + found.size_px, 0))
    area = refined[rows, max(x0, 0) : max(x0 + found.size_px, 0)]
    return float(area.mean()) if area.size else 0.0


def _unjudged(found: Detection) -> Detection:
    return replace(
        found,
        p_value=None,
        rank=None,
        verdict=Verdict.UNCERTAIN,
        reason="only the base of this part has arrived: ask for its refinements to judge it",
    )
