"""Simulated fields for training: light without noise, exposed anew for every patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from engine.cosmicrays.exposures import Exposure, window_of
from engine.cosmicrays.hits import label_noise
from engine.cosmicrays.optics import OVERSAMPLING, REACH_PX, random_spread
from engine.cosmicrays.scaling import NoiseScale
from engine.frame import Pixels

FIELD_PX = 256
FEWEST_STARS, MOST_STARS = 30, 5000
BRIGHTEST_STAR_E = 3e6
FAINT_POPULATION, UNRESOLVED_POPULATION = 0.5, 0.25
LOW_SKY_SHARE = 0.7
COLUMN_SHARE, TRAIL_SHARE = 0.12, 0.08
LEAST_SIGMA = np.float32(1e-3)


@dataclass(frozen=True)
class Field:
    """Expected electrons of all sources of a field, float32 (H, W); no sky, no noise.

    With `flaws` some of its exposures have a hot column or a trail, which are no hits.
    """

    light: Pixels
    flaws: bool = False

    def exposure(self, rng: np.random.Generator, side: int) -> Exposure:
        """Expose a window of `side` pixels: sky, gain, read noise and flaws are drawn anew."""
        light = self.light[window_of(rng, self.light.shape, side)]
        light = light * np.float32(np.exp(rng.normal(0, 0.6)))
        low = rng.random() < LOW_SKY_SHARE
        sky = float(np.exp(rng.uniform(np.log(4), np.log(100 if low else 2000))))
        read_noise = float(rng.uniform(2, 12))
        expected = light + np.float32(sky) * _tilt(rng, side) + _warm_pixels(rng, side, sky)
        if self.flaws:
            expected = expected + _flaws(rng, side, float(np.sqrt(sky + read_noise**2)))
        variance = np.maximum(expected, 0) + np.float32(read_noise**2)
        noise = np.sqrt(variance) * _noise_pattern(rng, side)
        sigma = label_noise(expected, read_noise, sky)
        pixels = expected + noise
        scale = NoiseScale.of(pixels)
        return Exposure(pixels, noise, sigma, np.zeros(pixels.shape, dtype=bool), scale)


def random_field(rng: np.random.Generator, side: int = FIELD_PX, *, flaws: bool = False) -> Field:
    """Stars through one random point-spread function, sometimes with galaxies.

    Half of the fields have many sources near the detection limit, a quarter a background of stars
    too faint and dense to tell apart.
    """
    spread, fwhm = random_spread(rng)
    margin = REACH_PX
    points = np.zeros(((side + 2 * margin) * OVERSAMPLING,) * 2, dtype=np.float32)
    crowding = (side / FIELD_PX) ** 2
    count = np.exp(rng.uniform(np.log(FEWEST_STARS), np.log(MOST_STARS))) * crowding
    slope = rng.uniform(0.5, 1.2)
    brightest = np.exp(rng.uniform(0, 3.5))
    flux = rng.uniform(30, 90) * rng.random(int(count)) ** (-1 / slope) * brightest
    _scatter(rng, points, np.minimum(flux, BRIGHTEST_STAR_E))
    if rng.random() < FAINT_POPULATION:
        faint = np.exp(rng.uniform(np.log(80), np.log(3000), int(rng.uniform(50, 1500) * crowding)))
        _scatter(rng, points, faint)
    if rng.random() < UNRESOLVED_POPULATION:
        _scatter(rng, points, rng.exponential(rng.uniform(5, 40), int(30_000 * crowding)))
    light = _binned(_convolved(points, spread))[margin:-margin, margin:-margin]
    for _ in range(rng.poisson(rng.choice([0, 3, 12]) * crowding)):
        light = light + _galaxy(rng, side, fwhm)
    return Field(np.maximum(light, 0).astype(np.float32), flaws)


def _scatter(
    rng: np.random.Generator, points: NDArray[np.float32], flux: NDArray[np.float64]
) -> None:
    rows, columns = rng.integers(0, points.shape[0], size=(2, flux.size))
    np.add.at(points, (rows, columns), flux.astype(np.float32))


def _convolved(points: NDArray[np.float32], spread: NDArray[np.float32]) -> Pixels:
    size = fft.next_fast_len(points.shape[0] + spread.shape[0] - 1, real=True)
    product = fft.rfft2(points, (size, size)) * fft.rfft2(spread, (size, size))
    reach = spread.shape[0] // 2
    whole: Pixels = fft.irfft2(product, (size, size))
    return whole[reach : reach + points.shape[0], reach : reach + points.shape[0]]


def _binned(fine: Pixels) -> Pixels:
    side = fine.shape[0] // OVERSAMPLING
    blocks: Pixels = fine.reshape(side, OVERSAMPLING, side, OVERSAMPLING).sum((1, 3))
    return blocks


def _galaxy(rng: np.random.Generator, side: int, fwhm: float) -> Pixels:
    """A Sersic-like blob of index 0.8 to 2.5, softened to the seeing."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    x, y = rng.uniform(0, side, 2)
    radius = np.exp(rng.uniform(np.log(1.5), np.log(25)))
    angle, axis_ratio = rng.uniform(0, np.pi), rng.uniform(0.2, 1)
    along = np.cos(angle) * (columns - x) + np.sin(angle) * (rows - y)
    across = (np.cos(angle) * (rows - y) - np.sin(angle) * (columns - x)) / axis_ratio
    distance = np.sqrt(along**2 + across**2 + 0.3 * fwhm**2)
    peak = np.exp(rng.uniform(np.log(20), np.log(2000)))
    blob: Pixels = peak * np.exp(-1.7 * (distance / radius) ** (1 / rng.uniform(0.8, 2.5)))
    return blob


def _tilt(rng: np.random.Generator, side: int) -> Pixels:
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    down, right = rng.normal(0, 0.05, 2).astype(np.float32)
    tilt: Pixels = 1 + down * ramp[:, None] + right * ramp[None, :]
    return np.maximum(tilt, np.float32(0.1))


def _warm_pixels(rng: np.random.Generator, side: int, sky: float) -> Pixels:
    """Single pixels of a few sigma that every exposure repeats: no hits."""
    warm = np.zeros((side, side), dtype=np.float32)
    if rng.random() < 0.4:
        share = np.exp(rng.uniform(np.log(3e-5), np.log(4e-4)))
        where = rng.random((side, side), dtype=np.float32) < share
        warm[where] = rng.exponential(6 * np.sqrt(sky + 25), int(where.sum()))
    return warm


def _flaws(rng: np.random.Generator, side: int, noise: float) -> Pixels:
    """Now and then a hot column, now and then the straight trail of something that moves."""
    light = np.zeros((side, side), dtype=np.float32)
    if rng.random() < COLUMN_SHARE:
        first = int(rng.integers(side)) if rng.random() < 0.5 else 0
        level = noise * np.exp(rng.uniform(np.log(2), np.log(60)))
        light[first:, int(rng.integers(side))] += level
    if rng.random() < TRAIL_SHARE:
        rows, columns = np.mgrid[:side, :side].astype(np.float32)
        angle, width = rng.uniform(0, np.pi), rng.uniform(0.8, 2.5)
        x, y = rng.uniform(0, side, 2)
        away = np.sin(angle) * (columns - x) - np.cos(angle) * (rows - y)
        peak = noise * np.exp(rng.uniform(np.log(2), np.log(60)))
        light += (peak * np.exp(-0.5 * (away / width) ** 2)).astype(np.float32)
    return light


def _noise_pattern(rng: np.random.Generator, side: int) -> Pixels:
    """Unit noise; at times correlated between neighbours, at times with noise of whole rows."""
    noise: Pixels = rng.standard_normal((side, side), dtype=np.float32)
    if rng.random() < 0.1:
        noise = ndimage.gaussian_filter(noise, rng.uniform(0.2, 0.45))
        noise /= max(np.float32(noise.std()), LEAST_SIGMA)
    if rng.random() < 0.15:
        rows = rng.standard_normal((side, 1), dtype=np.float32)
        noise = noise + np.float32(rng.uniform(0.05, 0.25)) * rows
    return noise
