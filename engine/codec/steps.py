"""Quantisation steps: one byte names a step q, exactly the same on every machine."""

from __future__ import annotations

import math

from engine.codec.network import COARSER_HYPER_AT_LOG_Q

STEPS = 256
STEPS_PER_UNIT = 32
SMALLEST_LOG_Q = -0.75
_REGIME_EDGES = tuple(
    math.ceil((edge - SMALLEST_LOG_Q) * STEPS_PER_UNIT) for edge in COARSER_HYPER_AT_LOG_Q
)


def log_q(step: int) -> float:
    """ln q of a step index in 0..255, a multiple of 1/32 and therefore exact."""
    return step / STEPS_PER_UNIT + SMALLEST_LOG_Q


def hyper_regime(step: int) -> int:
    """How many times the step of the hyper-latent is doubled at this quantisation step."""
    return sum(step >= edge for edge in _REGIME_EDGES)
