"""The choices a cosmic-ray run is keyed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from engine.cosmicrays.choices import (
    ALL_VIEWS,
    DEFAULT_FILL,
    DEFAULT_METHOD,
    FILLS,
    PRECISIONS,
    VIEW_COUNTS,
    FillName,
    NetMethod,
    Precision,
)
from engine.policy import Policy

MODEL_NAMES: dict[NetMethod, str] = {
    "vi": "cosmicrays-vi",
    "unet": "cosmicrays-unet",
    "stis": "cosmicrays-stis",
    "ensemble": "cosmicrays-ensemble",
}
# Choices that came after the first release, with the value that stands for how runs were before:
# at that value they stay out of the digest, so that old runs keep their key.
BEFORE: dict[str, Any] = {
    "views": 1,
    "precision": "float32",
    "fill": "median",
    "miss_rate": None,
}


@dataclass(frozen=True)
class CosmicRayPolicy(Policy):
    """Which networks, how many passes, where a probability becomes a mask, what fills it.

    `method` "vi" draws `samples` networks from the Bayesian one's posterior, "unet" is a single
    network, "stis" the one fitted to the STIS CCD, "ensemble" runs every member; these ignore
    `samples`. `views` 8 means each of
    them over the eight flips and quarter turns. Mutual information is what the passes disagree
    about, and zero by construction for a single one. `precision` is that of the convolutions.
    Pixels with a probability above `threshold` are masked; a `miss_rate` replaces the threshold by
    the one that the model card's calibration gives for it. `fill` names what replaces masked
    pixels. Raises ValueError on values without meaning.
    """

    pipeline: ClassVar[str] = "cosmicrays"

    method: NetMethod = DEFAULT_METHOD
    samples: int = 8
    threshold: float = 0.5
    seed: int = 0
    views: int = ALL_VIEWS
    precision: Precision = "float32"
    fill: FillName = DEFAULT_FILL
    miss_rate: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", get_args(NetMethod)),
            ("views", VIEW_COUNTS),
            ("precision", PRECISIONS),
            ("fill", FILLS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self.samples < 1 or self.seed < 0 or not 0 <= self.threshold < 1:
            raise ValueError("expected samples >= 1, seed >= 0 and threshold in [0, 1)")
        if self.miss_rate is not None and not 0 < self.miss_rate < 1:
            raise ValueError(f"a miss rate must be between 0 and 1, got {self.miss_rate}")

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values; later choices only where they differ from how it was."""
        return {
            name: value
            for name, value in super().as_dict().items()
            if name not in BEFORE or value != BEFORE[name]
        }

    @property
    def label(self) -> str:
        """The method's name in results: "vi", "unet", "unet_8_views", "ensemble", ..."""
        return self.method if self.views == 1 else f"{self.method}_{self.views}_views"
