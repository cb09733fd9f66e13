"""The choices a cosmic-ray run is keyed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from engine.policy import Policy

NetMethod = Literal["vi", "unet"]
MODEL_NAMES: dict[NetMethod, str] = {"vi": "cosmicrays-vi", "unet": "cosmicrays-unet"}


@dataclass(frozen=True)
class CosmicRayPolicy(Policy):
    """Which network, how many weight samples, and where a probability becomes a mask.

    `method` "vi" draws `samples` networks from the Bayesian one's posterior; "unet" is a single
    network, whose mutual information is zero by construction, and ignores `samples`. Pixels with a
    probability above `threshold` are masked. Raises ValueError on values without meaning.
    """

    pipeline: ClassVar[str] = "cosmicrays"

    method: NetMethod = "vi"
    samples: int = 8
    threshold: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(NetMethod):
            raise ValueError(f"method must be one of {get_args(NetMethod)}, got {self.method!r}")
        if self.samples < 1 or self.seed < 0 or not 0 <= self.threshold < 1:
            raise ValueError("expected samples >= 1, seed >= 0 and threshold in [0, 1)")
