"""The shape that the three pipelines share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.frame import Frame
from engine.policy import Policy
from engine.results import PipelineResult


class Pipeline(Protocol):
    """One model with one policy, ready to run on any frame."""

    name: str
    model_digest: str
    policy: Policy

    def run(self, frame: Frame, rng: np.random.Generator) -> PipelineResult:
        """Analyse one frame. Raises NotApplicable where the pipeline has nothing to say."""
        ...
