"""Mars-like ground seen from above or from a rover, for the codec."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.frame import Pixels

Relief = NDArray[np.float64]


def terrain(rng: np.random.Generator, shape: tuple[int, int] = (256, 256)) -> Pixels:
    """Draw a lit landscape with craters, dunes and rocks; float32 (H, W) in [0, 255], unrounded.

    Brightness is albedo times the Lambert cosine of the sun on the relief, with camera noise.
    """
    relief = fractal_relief(rng, shape, roughness=rng.uniform(1.6, 2.3)) * rng.uniform(2, 7)
    if rng.random() < 0.5:
        relief += dunes(rng, shape)
    for _ in range(rng.poisson(5)):
        _add_crater(rng, relief)
    for _ in range(rng.poisson(60 * rng.random())):
        _add_rock(rng, relief)
    albedo = 1.0 + 0.12 * fractal_relief(rng, shape, roughness=1.7)
    lit = albedo * _lambert(relief, rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 60)))
    low, high = np.percentile(lit, [1, 99])
    level = rng.uniform(30, 60) + (lit - low) / max(high - low, 1e-9) * rng.uniform(110, 170)
    noisy = level + rng.normal(0, rng.uniform(0.5, 2.0), size=shape)
    pixels: Pixels = np.clip(noisy, 0, 255).astype(np.float32)
    return pixels


def fractal_relief(rng: np.random.Generator, shape: tuple[int, int], roughness: float) -> Relief:
    """Gaussian heights with amplitude ~ frequency^-roughness, mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=shape)) * frequency**-roughness
    heights: Relief = np.fft.irfft2(spectrum, s=shape)
    heights -= heights.mean()
    heights /= max(float(heights.std()), 1e-12)
    return heights


def dunes(rng: np.random.Generator, shape: tuple[int, int]) -> Relief:
    """Ripples with a gentle windward and a steep lee slope, their crests bent by chance."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    angle, wavelength = rng.uniform(0, np.pi), rng.uniform(8, 30)
    bend = 0.6 * wavelength * fractal_relief(rng, shape, roughness=2.2)
    position = (columns * np.cos(angle) + rows * np.sin(angle) + bend) / wavelength
    phase = 2 * np.pi * position
    heights: Relief = np.sin(phase) + 0.35 * np.sin(2 * phase)
    heights *= rng.uniform(0.05, 0.12) * wavelength
    return heights


def _add_crater(rng: np.random.Generator, relief: Relief) -> None:
    """Press a bowl with a raised rim into the relief, in place."""
    radius = float(np.clip(3.0 * (rng.pareto(1.6) + 1.0), 3.0, min(relief.shape) / 4))
    distance = _distance(rng, relief.shape, radius)
    depth = rng.uniform(0.15, 0.35) * radius
    bowl = np.where(distance < 1.0, distance**2 - 1.0, 0.0)
    rim = 0.3 * np.exp(-(((distance - 1.0) / 0.22) ** 2))
    relief += depth * (bowl + rim)


def _add_rock(rng: np.random.Generator, relief: Relief) -> None:
    """Set a rounded rock on the relief, in place."""
    radius = float(np.clip(1.2 * (rng.pareto(2.0) + 1.0), 1.2, 9.0))
    distance = _distance(rng, relief.shape, radius)
    relief += rng.uniform(0.6, 1.2) * radius * np.sqrt(np.clip(1.0 - distance**2, 0.0, None))


def _distance(rng: np.random.Generator, shape: tuple[int, ...], radius: float) -> Relief:
    """Distance of each pixel from a random place, in units of `radius`."""
    row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    down, across = np.arange(shape[0]) - row, np.arange(shape[1]) - column
    distance: Relief = np.hypot(down[:, None], across[None, :]) / radius
    return distance


def _lambert(relief: Relief, azimuth: float, elevation: float) -> Relief:
    """Cosine between the surface normal and the sun, at least a little diffuse light."""
    slope_y, slope_x = np.gradient(relief)
    towards_sun = -(slope_x * np.cos(azimuth) + slope_y * np.sin(azimuth)) * np.cos(elevation)
    cosine: Relief = (towards_sun + np.sin(elevation)) / np.sqrt(1.0 + slope_x**2 + slope_y**2)
    return cosine.clip(0.05)
