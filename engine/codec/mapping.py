"""SampleMapping: how the samples of a frame enter the network's range [-128, 127], and return."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.frame import Pixels

PEAK = 255.0
HALF = 128.0
HEAVY_TAIL = 12.0
_STORED = struct.Struct("<4d")
STORED_BYTES = _STORED.size


@dataclass(frozen=True)
class SampleMapping:
    """Maps samples x to u = 255 (f(x) - low) / span - 128.

    `kind` "affine": f(x) = (x - offset) / scale. `kind` "asinh": f(x) = asinh((x - offset) / scale)
    (Lupton, Gunn and Szalay, 1999), for frames whose brightest samples lie far above the rest.
    """

    kind: str
    offset: float
    scale: float
    low: float
    span: float

    @classmethod
    def of(cls, samples: Pixels, sample_type: str) -> SampleMapping:
        """Choose the mapping for good `samples`, any shape: 8-bit ones keep their values."""
        if sample_type == "uint8":
            return EIGHT_BIT
        smallest, median, high, largest = (
            float(v) for v in np.percentile(samples, (0.0, 50.0, 99.0, 100.0))
        )
        if largest - median > HEAVY_TAIL * max(high - median, 0.0) and largest > high:
            noise = 1.4826 * float(np.median(np.abs(samples - median)))
            scale = noise or (largest - median) / 1000.0
            bounds = np.arcsinh((np.array([smallest, largest]) - median) / scale)
            return cls("asinh", median, scale, float(bounds[0]), float(bounds[1] - bounds[0]))
        return cls("affine", smallest, max(largest - smallest, 1e-30), 0.0, 1.0)

    def forward(self, samples: Pixels) -> NDArray[np.float32]:
        """Samples to the network's range; 8-bit ones are moved by 128."""
        if self == EIGHT_BIT:
            return np.asarray(samples, np.float32) - np.float32(HALF)
        scaled = (samples.astype(np.float64) - self.offset) / self.scale
        shaped = np.arcsinh(scaled) if self.kind == "asinh" else scaled
        mapped = (shaped - self.low) / self.span * PEAK - HALF
        return mapped.astype(np.float32)

    def backward(self, mapped: NDArray[np.float32]) -> NDArray[np.float64]:
        """The network's range back to samples, not rounded; clipped to the range of the source."""
        shaped = self._shaped(mapped)
        scaled = np.sinh(shaped) if self.kind == "asinh" else shaped
        return scaled * self.scale + self.offset

    def slope(self, mapped: NDArray[np.float32]) -> NDArray[np.float64]:
        """Samples per unit of the network's range, at `mapped`."""
        step = self.scale * self.span / PEAK
        if self.kind == "affine":
            return np.full(mapped.shape, step)
        return np.cosh(self._shaped(mapped)) * step

    def to_bytes(self) -> bytes:
        """The mapping as stored in a file header; its kind is a flag there."""
        return _STORED.pack(self.offset, self.scale, self.low, self.span)

    @classmethod
    def from_bytes(cls, kind: str, stored: bytes) -> SampleMapping | None:
        """Read back what `to_bytes` wrote; None when the numbers cannot be a mapping."""
        values = _STORED.unpack(stored)
        usable = np.isfinite(values).all() and values[1] > 0 and values[3] > 0
        if not usable or (kind == "asinh" and abs(values[2]) + values[3] > 700.0):
            return None
        return cls(kind, *values)

    def _shaped(self, mapped: NDArray[np.float32]) -> NDArray[np.float64]:
        share = np.clip((mapped.astype(np.float64) + HALF) / PEAK, 0.0, 1.0)
        return share * self.span + self.low


EIGHT_BIT = SampleMapping("affine", 0.0, PEAK, 0.0, 1.0)
