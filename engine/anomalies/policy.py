"""The choices an anomaly run is keyed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from engine.policy import Policy

CutoutMode = Literal["auto", "sources", "image"]
DEFAULT_LIMIT = 64


@dataclass(frozen=True)
class AnomalyPolicy(Policy):
    """When a detection is a candidate, a near miss or an artefact, and what is cut out.

    A normal becomes a candidate with probability at most `false_positive_rate`, a candidate or
    near miss with at most `near_miss_rate`. A detection with more than `cosmic_ray_share` of its
    positive flux on cosmic-ray pixels is an artefact; so is a source of the raw frame that is gone
    once cosmic rays are removed, of which at most `max_vanished` a frame are kept, the brightest.
    `artefact_head` is the digest of the artefact head that takes part, "" for none. `stretch`,
    `denoise` and `clahe` are as in `Preprocessing`; another rule than the default leaves raw scores
    only, because the references were fitted with it. Raises ValueError on rates that are not
    0 < false_positive_rate <= near_miss_rate < 1, a share outside [0, 1], or no detections.
    """

    pipeline: ClassVar[str] = "anomaly"

    false_positive_rate: float = 0.01
    near_miss_rate: float = 0.05
    cosmic_ray_share: float = 0.5
    cutout_mode: CutoutMode = "auto"
    max_detections: int = DEFAULT_LIMIT
    max_vanished: int = 4
    artefact_head: str = ""
    stretch: str = "asinh"
    denoise: float = 0.0
    clahe: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_rate <= self.near_miss_rate < 1:
            raise ValueError(
                "rates must satisfy 0 < false_positive_rate <= near_miss_rate < 1, got "
                f"{self.false_positive_rate} and {self.near_miss_rate}"
            )
        if not 0 <= self.cosmic_ray_share <= 1:
            raise ValueError(f"cosmic_ray_share must be in [0, 1], got {self.cosmic_ray_share}")
        if self.max_detections < 1:
            raise ValueError(f"max_detections must be at least 1, got {self.max_detections}")
        if self.max_vanished < 0:
            raise ValueError(f"max_vanished must not be negative, got {self.max_vanished}")
        if self.cutout_mode not in ("auto", "sources", "image"):
            raise ValueError(
                f"cutout_mode must be auto, sources or image, got {self.cutout_mode!r}"
            )
