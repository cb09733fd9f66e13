"""From cutout pixels to what an embedder sees: one stated stretch, with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.visualization import ZScaleInterval
from numpy.typing import NDArray
from skimage.exposure import equalize_adapthist
from skimage.restoration import denoise_tv_chambolle

from engine.anomalies.cutouts import Cutout, PlaneScale
from engine.anomalies.embedders.base import Images
from engine.anomalies.embedders.morphology import area_weights
from engine.frame import Pixels

SIDE = 160
SOFTENING_SIGMA = 2.0
LEAST_PEAK_SIGMA = 10.0
PREPROCESSING = (
    f"8-bit: value / 255; else asinh((v - level) / ({SOFTENING_SIGMA:g} noise)) over the same of "
    f"the source's peak (at least {LEAST_PEAK_SIGMA:g} noise), clipped to [0, 1]; "
    f"then resized to {SIDE} x {SIDE}, linear up and area down, grey repeated to three planes"
)
PREPROCESSING_DIGEST = hashlib.sha256(PREPROCESSING.encode()).hexdigest()
PLANES_RULE = (
    "; of several planes each in units of its own noise above its own level, all over the asinh of "
    "the highest peak of any plane; three planes stay three, others are averaged"
)
CLAHE_CLIP = 0.01


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a cutout before it is embedded; the default is the rule of `PREPROCESSING`.

    `stretch` "zscale" maps IRAF's zscale limits of the cutout to [0, 1] linearly instead of the
    asinh. `denoise` > 0 smooths the stretched image by total variation of that weight (Chambolle
    2004, J. Math. Imaging and Vision 20); `clahe` equalises it in tiles with limited contrast
    (Zuiderveld 1994, Graphics Gems IV). Raises ValueError on another stretch or a negative weight.
    """

    stretch: str = "asinh"
    denoise: float = 0.0
    clahe: bool = False

    def __post_init__(self) -> None:
        if self.stretch not in ("asinh", "zscale") or self.denoise < 0:
            raise ValueError(
                "stretch must be asinh or zscale and denoise not negative, got "
                f"{self.stretch!r} and {self.denoise}"
            )

    def text(self, *, several_planes: bool = False) -> str:
        """The rule in words, exact enough to do it again."""
        words = PREPROCESSING
        if self.stretch == "zscale":
            start, end = words.index("asinh(("), words.index("; then resized")
            words = f"{words[:start]}linear between the cutout's zscale limits{words[end:]}"
        if self.denoise > 0:
            words += f"; before that denoised by total variation of weight {self.denoise:g}"
        if self.clahe:
            words += f"; before that CLAHE with clip limit {CLAHE_CLIP:g}"
        return words + (PLANES_RULE if several_planes else "")

    def digest(self, *, several_planes: bool = False) -> str:
        """sha256 of the rule in words, as hex: stored with what was embedded by it."""
        return hashlib.sha256(self.text(several_planes=several_planes).encode()).hexdigest()

    def apply(self, cutout: Cutout) -> Pixels:
        """The cutout's pixels in [0, 1], same shape, float32."""
        shown = stretch(cutout) if self.stretch == "asinh" else zscaled(cutout)
        planes = shown[None] if shown.ndim == 2 else shown
        if self.denoise > 0:
            planes = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
                planes, weight=self.denoise, channel_axis=0
            )
        if self.clahe:
            planes = np.stack([equalize_adapthist(p, clip_limit=CLAHE_CLIP) for p in planes])
        return np.asarray(np.clip(planes, 0, 1).reshape(shown.shape), dtype=np.float32)


DEFAULT_PREPROCESSING = Preprocessing()


def preprocessing_text(side: int = SIDE) -> str:
    """The default rule in words, for embedders that take images of another side."""
    return PREPROCESSING.replace(f"{SIDE} x {SIDE}", f"{side} x {side}")


def embedder_input(
    cutouts: Sequence[Cutout],
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING,
    *,
    side: int = SIDE,
) -> Images:
    """Cutouts as float32 (N, 3, side, side) in [0, 1], by the rule that `preprocessing` states."""
    images = np.empty((len(cutouts), 3, side, side), dtype=np.float32)
    for index, cutout in enumerate(cutouts):
        shown = preprocessing.apply(cutout)
        planes = shown[None] if shown.ndim == 2 else shown
        colours = planes if len(planes) == 3 else planes.mean(axis=0, keepdims=True)
        images[index] = resized(colours, side)
    return images


def stretch(cutout: Cutout) -> Pixels:
    """The cutout's pixels in [0, 1], same shape: /255 for 8-bit pictures, asinh for the rest.

    asinh((v - level) / (2 noise)) / asinh(max(peak, 10 noise) / (2 noise)), clipped. Lupton et al.
    (2004), PASP 116. A cutout without noise and peak becomes all zero.
    """
    if cutout.stretched:
        return np.asarray(np.clip(cutout.pixels / np.float32(255), 0, 1), dtype=np.float32)
    if cutout.planes is not None:
        return _stretch_planes(cutout.pixels, cutout.planes)
    light = cutout.pixels.astype(np.float64) - cutout.level
    softening = SOFTENING_SIGMA * cutout.noise
    if softening <= 0:
        softening = cutout.peak / 10
    if softening <= 0:
        return np.zeros_like(cutout.pixels)
    top = max(cutout.peak, LEAST_PEAK_SIGMA * cutout.noise)
    shown = np.arcsinh(light / softening) / np.arcsinh(top / softening)
    return np.asarray(np.clip(shown, 0, 1), dtype=np.float32)


def _stretch_planes(pixels: Pixels, scale: PlaneScale) -> Pixels:
    """Planes (C, S, S) in units of their own noise under one asinh; no noise makes a plane 0."""
    level, noise = scale.level[:, None, None], scale.noise[:, None, None]
    above = (pixels.astype(np.float64) - level) / np.where(noise > 0, noise, 1.0)
    above = np.where(noise > 0, above, 0.0)
    top = max(float(above.max(initial=0.0)), LEAST_PEAK_SIGMA)
    shown = np.arcsinh(above / SOFTENING_SIGMA) / np.arcsinh(top / SOFTENING_SIGMA)
    return np.asarray(np.clip(shown, 0, 1), dtype=np.float32)


def zscaled(cutout: Cutout) -> Pixels:
    """The cutout's pixels in [0, 1], linear between its zscale limits; 8-bit pictures as they are.

    Of several planes each has its own limits. A plane of one value becomes 0.
    """
    if cutout.stretched:
        return stretch(cutout)
    planes = cutout.pixels if cutout.pixels.ndim == 3 else cutout.pixels[None]
    shown = np.zeros(planes.shape, dtype=np.float32)
    for number, plane in enumerate(planes.astype(np.float64)):
        low, high = ZScaleInterval().get_limits(plane)
        if high > low:
            shown[number] = np.clip((plane - low) / (high - low), 0, 1)
    return shown.reshape(cutout.pixels.shape)


def resized(planes: Pixels, side: int = SIDE) -> Pixels:
    """Planes (C, H, W) at side x side: averaged over area when smaller, linear when larger."""
    rows, columns = (resize_weights(length, side).astype(np.float32) for length in planes.shape[1:])
    return np.asarray(np.clip(rows @ planes @ columns.T, 0, 1), dtype=np.float32)


def resize_weights(length: int, side: int) -> NDArray[np.float64]:
    """Weights float64 (side, length) of one axis; rows sum to 1."""
    if length >= side:
        return area_weights(length, side)
    centres = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
    return np.asarray(np.maximum(1 - np.abs(centres[:, None] - np.arange(length)[None]), 0.0))
