"""CodecPolicy: the choices a codec run is keyed by; importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.policy import Policy

TILE = 256


@dataclass(frozen=True)
class CodecPolicy(Policy):
    """`bpp` bits per pixel and plane, `samples` dropout passes, `tile` side in pixels.

    Raises ValueError when `bpp` is not positive or `samples` is below 2.
    """

    pipeline: ClassVar[str] = "codec"

    bpp: float = 0.5
    samples: int = 8
    seed: int = 0
    tile: int = TILE

    def __post_init__(self) -> None:
        if not 0 < self.bpp < float("inf"):
            raise ValueError(f"bpp must be positive and finite, got {self.bpp}")
        if self.samples < 2:
            raise ValueError(f"a dropout deviation needs at least 2 samples, got {self.samples}")
