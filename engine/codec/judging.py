"""What may be judged of a frame that has not arrived whole: only what arrived refined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.codec.decoding import Decoded
from engine.codec.uncertainty import predicted_rmse
from engine.errors import NotApplicable
from engine.frame import Frame, Mask, Origin
from engine.policy import generator_for
from engine.results import AnomalyResult, Detection, Verdict

LEAST_REFINED = 0.5
"""Share of a cutout that must have been refined before its p-value is believed."""


def with_noise(decoded: Decoded, origin: Origin, seed: int = 0) -> Frame:
    """The decoded frame with the noise that quantisation took: for judging, not for measuring.

    Gaussian, of the root mean square error that the entropy model predicts pixel by pixel. A
    reference of noisy frames finds a picture without noise odd. Frames of other codecs than the
    learned one come back as they are. The same bytes and `seed` give the same noise.
    """
    frame = decoded.frame(origin)
    try:
        deviation = np.nan_to_num(predicted_rmse(decoded))
    except NotApplicable:
        return frame
    drawn = generator_for(frame.digest, seed).normal(size=frame.pixels.shape)
    return frame.with_pixels((frame.pixels + drawn * deviation).astype(np.float32))


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
