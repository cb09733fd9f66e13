"""Policies: the choices a run is keyed by, each with a digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class Policy:
    """Base of every pipeline's policy; `digest` covers all its fields and the class name."""

    pipeline: ClassVar[str] = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values, fit for JSON."""
        return {"pipeline": self.pipeline, **asdict(self)}

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON of the policy, as hex."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def generator_for(frame_digest: str, seed: int) -> np.random.Generator:
    """The generator of one run: the same frame and seed give the same numbers on every machine."""
    return np.random.default_rng([seed, int(frame_digest[:16], 16)])
