"""Morphology: what astronomers measure on galaxy images, as one vector."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from engine.anomalies.embedders.base import Embeddings, Images, check_images

Stack = NDArray[np.float64]

SIDE = 80
RADIAL_BINS = 16
HARMONICS = 4
HARMONIC_RINGS = 5
BANDS = 8
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TINY = 1e-9


class MorphologyEmbedder:
    """81 morphology numbers at 80 px.

    Concentration, asymmetry, smoothness, Gini, M20; size, ellipticity, skewness and kurtosis along
    the principal axes; radial profile and scatter; azimuthal harmonics; band energies; brightness
    quantiles and colour. Formulas are with the functions below.
    """

    name = "morphology"
    input_side = 2 * SIDE
    dimension = 5 + 6 + 2 * RADIAL_BINS + HARMONICS * HARMONIC_RINGS + BANDS + 6 + 4
    parts = {"morphology": slice(0, dimension)}  # noqa: RUF012

    def embed(self, images: Images) -> Embeddings:
        """Vectors float32 (N, 81) of images float32 (N, 3, H, W) in [0, 1]."""
        check_images(images)
        if len(images) == 0:
            return np.empty((0, self.dimension), dtype=np.float32)
        small = resample(images, SIDE)
        grey = small.mean(axis=1)
        sky = np.median(_border(grey), axis=1)
        light = grey - sky[:, None, None]
        columns = [
            concentration(light)[:, None],
            asymmetry(light)[:, None],
            smoothness(light)[:, None],
            gini(light)[:, None],
            m20(light)[:, None],
            moments(light),
            radial_profile(light),
            harmonics(light),
            band_energies(grey),
            np.quantile(grey, QUANTILES, axis=(1, 2)).T,
            grey.std(axis=(1, 2))[:, None],
            _colours(small),
        ]
        return np.concatenate(columns, axis=1).astype(np.float32)


def resample(images: Images, side: int) -> Stack:
    """Area-average (N, C, H, W) to (N, C, side, side), float64."""
    rows = area_weights(images.shape[2], side)
    columns = area_weights(images.shape[3], side)
    return np.asarray(rows @ images.astype(np.float64) @ columns.T, dtype=np.float64)


@lru_cache(maxsize=32)
def area_weights(length: int, side: int) -> Stack:
    """Weights float64 (side, length) that average what each output pixel covers; rows sum to 1."""
    edges = np.linspace(0, length, side + 1)
    lower = np.maximum(edges[:-1, None], np.arange(length)[None])
    upper = np.minimum(edges[1:, None], np.arange(1, length + 1)[None])
    overlap = np.maximum(upper - lower, 0.0)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True), dtype=np.float64)


def concentration(light: Stack) -> Stack:
    """5 log10(r80 / r20) of positive light around the centre. Conselice (2003), ApJS 147."""
    radius = _polar(light.shape[-1])[0].ravel()
    order = np.argsort(radius, kind="stable")
    flux = np.maximum(light.reshape(len(light), -1)[:, order], 0.0)
    growth = np.cumsum(flux, axis=1) / np.maximum(flux.sum(axis=1, keepdims=True), TINY)
    inner = radius[order][np.minimum((growth < 0.2).sum(axis=1), radius.size - 1)]
    outer = radius[order][np.minimum((growth < 0.8).sum(axis=1), radius.size - 1)]
    return np.asarray(5 * np.log10((outer + 0.5) / (inner + 0.5)), dtype=np.float64)


def asymmetry(light: Stack) -> Stack:
    """sum |I - I_180| / (2 sum |I|), turned about the centre. Conselice (2003), ApJS 147."""
    turned = light[:, ::-1, ::-1]
    return _share(np.abs(light - turned), 2 * np.abs(light))


def smoothness(light: Stack) -> Stack:
    """sum |I - I_s| / sum |I|, I_s the mean over 5 x 5. After Conselice (2003), ApJS 147."""
    smoothed = uniform_filter(light, size=(0, 5, 5), mode="nearest")
    return _share(np.abs(light - smoothed), np.abs(light))


def gini(light: Stack) -> Stack:
    """sum (2i - n - 1) |I|_(i) / (mean|I| n (n - 1)). Lotz et al. (2004), AJ 128."""
    ordered = np.sort(np.abs(light).reshape(len(light), -1), axis=1)
    count = ordered.shape[1]
    weights = 2 * np.arange(1, count + 1) - count - 1
    mean = np.maximum(ordered.mean(axis=1), TINY)
    return np.asarray((ordered @ weights) / (mean * count * (count - 1)), dtype=np.float64)


def m20(light: Stack) -> Stack:
    """log10 of the second moment of the brightest 20 % of light over the total.

    Lotz et al. (2004), AJ 128.
    """
    flux = np.maximum(light, 0.0).reshape(len(light), -1)
    squared = _polar(light.shape[-1])[0].ravel() ** 2
    order = np.argsort(-flux, axis=1, kind="stable")
    bright = np.take_along_axis(flux, order, axis=1)
    total = np.maximum(flux.sum(axis=1, keepdims=True), TINY)
    within = np.cumsum(bright, axis=1) - bright < 0.2 * total
    moment = (bright * squared[order] * within).sum(axis=1)
    return np.asarray(np.log10((moment + TINY) / (flux @ squared + TINY)), dtype=np.float64)


def moments(light: Stack) -> Stack:
    """Size, ellipticity, skewness and kurtosis along both principal axes, float64 (N, 6).

    Of positive light about its centroid; the axes are those of the second moments (Hu 1962, IRE
    Trans. Information Theory 8).
    """
    side = light.shape[-1]
    flux = np.maximum(light, 0.0).reshape(len(light), -1)
    flux = (flux + TINY) / (flux + TINY).sum(axis=1, keepdims=True)
    y, x = (axis.ravel() / side for axis in np.mgrid[:side, :side].astype(np.float64))
    dx, dy = x - (flux @ x)[:, None], y - (flux @ y)[:, None]
    xx, yy, xy = ((flux * product).sum(axis=1) for product in (dx * dx, dy * dy, dx * dy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)[:, None]
    major, minor = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    columns = [np.sqrt(xx + yy), np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + TINY)]
    for axis in (major, minor):
        variance = (flux * axis**2).sum(axis=1) + TINY
        columns.append(np.abs((flux * axis**3).sum(axis=1)) / variance**1.5)
        columns.append(np.log((flux * axis**4).sum(axis=1) / variance**2 + TINY))
    return np.stack(columns, axis=1)


def radial_profile(light: Stack) -> Stack:
    """Mean and standard deviation in 16 rings about the centre, float64 (N, 32)."""
    flat = light.reshape(len(light), -1)
    ring = _ring_means(light.shape[-1], RADIAL_BINS)
    mean = flat @ ring.T
    variance = np.maximum(flat**2 @ ring.T - mean**2, 0.0)
    return np.concatenate([mean, np.sqrt(variance)], axis=1)


def harmonics(light: Stack) -> Stack:
    """|sum I e^(i m phi)| / sum |I| for m = 1..4 in 5 rings, float64 (N, 20).

    Azimuthal Fourier modes (Elmegreen et al. 1989, ApJ 343): lopsidedness, bars, arms.
    """
    flat = light.reshape(len(light), -1)
    angle = _polar(light.shape[-1])[1].ravel()
    rings = _ring_means(light.shape[-1], HARMONIC_RINGS)
    norm = np.abs(flat) @ rings.T + TINY
    modes = []
    for m in range(1, HARMONICS + 1):
        real, imaginary = flat @ (rings * np.cos(m * angle)).T, flat @ (rings * np.sin(m * angle)).T
        modes.append(np.hypot(real, imaginary) / norm)
    return np.concatenate(modes, axis=1)


def band_energies(grey: Stack) -> Stack:
    """log10 of the mean power in 8 rings of spatial frequency (octave-like), float64 (N, 8)."""
    side = grey.shape[-1]
    power = np.abs(np.fft.rfft2(grey)) ** 2 / side**2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    edges = np.geomspace(1 / side, 0.5, BANDS + 1)
    edges[0], edges[-1] = 0.5 / side, 0.72
    bands = [
        power[:, (frequency >= low) & (frequency < high)].mean(axis=1)
        for low, high in pairwise(edges)
    ]
    return np.log10(np.stack(bands, axis=1) + TINY)


def _share(part: Stack, whole: Stack) -> Stack:
    return np.asarray(part.sum(axis=(1, 2)) / np.maximum(whole.sum(axis=(1, 2)), TINY))


def _border(grey: Stack) -> Stack:
    width = max(1, grey.shape[-1] // 16)
    edge = np.ones(grey.shape[1:], dtype=np.bool_)
    edge[width:-width, width:-width] = False
    return grey[:, edge]


def _colours(small: Stack) -> Stack:
    red_green, blue_green = small[:, 0] - small[:, 1], small[:, 2] - small[:, 1]
    planes = (red_green, blue_green)
    means = [plane.mean(axis=(1, 2)) for plane in planes]
    return np.stack(means + [plane.std(axis=(1, 2)) for plane in planes], axis=1)


@lru_cache(maxsize=8)
def _polar(side: int) -> tuple[Stack, Stack]:
    y, x = np.mgrid[:side, :side].astype(np.float64) - (side - 1) / 2
    return np.hypot(x, y), np.arctan2(y, x)


@lru_cache(maxsize=8)
def _ring_means(side: int, rings: int) -> Stack:
    radius = _polar(side)[0].ravel()
    index = np.floor(radius / (side / 2) * rings).astype(np.int64)
    weights = np.stack([(index == ring).astype(np.float64) for ring in range(rings)])
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0))
