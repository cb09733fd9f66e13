"""How far a decoded image is from its original; numpy and scipy alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, sobel

from engine.frame import Frame, Mask

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11
WINDOW_SIGMA = 1.5
LUMINANCE_CONSTANT, CONTRAST_CONSTANT = 0.01, 0.03

Image = NDArray[np.floating]


def peak_of(frame: Frame) -> float:
    """The peak that PSNR and MS-SSIM of a frame are stated against.

    255 and 65535 for 8- and 16-bit integers, the range of the good pixels for all others (1 when
    that is 0).
    """
    if frame.sample_type in ("uint8", "int8"):
        return 255.0
    if frame.sample_type in ("uint16", "int16"):
        return 65535.0
    good = frame.pixels[..., ~frame.mask]
    return float(good.max() - good.min()) or 1.0


def rmse(original: Image, decoded: Image, *, good: Mask | None = None) -> float:
    """Root mean square of decoded - original, both (..., H, W), over the pixels `good` (H, W)."""
    return math.sqrt(_squared_error(original, decoded, good))


def psnr_db(original: Image, decoded: Image, peak: float, *, good: Mask | None = None) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / MSE) in dB; infinite for equal images."""
    squared = _squared_error(original, decoded, good)
    return math.inf if squared == 0 else 10.0 * math.log10(peak**2 / squared)


def gradient_error(original: Image, decoded: Image, *, good: Mask | None = None) -> float:
    """Root mean square of |Sobel(decoded - original)| / 8, in pixel units.

    Edges are mirrored; a ramp of one unit per pixel has a gradient of 1.
    """
    error = _difference(original, decoded)
    if good is not None:
        error = np.where(good, error, 0.0)
    planes = error.reshape(-1, *error.shape[-2:])
    squared = np.stack([sobel(p, axis=0) ** 2 + sobel(p, axis=1) ** 2 for p in planes])
    chosen = squared if good is None else squared[:, good]
    return math.sqrt(float(chosen.mean())) / 8.0


def ms_ssim(original: Image, decoded: Image, peak: float) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik, 2003), averaged over planes.

    prod_j cs_j^w_j with l_M^w_M at the coarsest scale; Gaussian window of 11 pixels and sigma 1.5,
    valid region only, scales halved by 2 x 2 means, negative terms set to 0. Where a side cannot
    be halved four times and still hold the window, the coarsest scales are left out and the
    weights renormalised to sum to 1. Raises ValueError below 11 pixels.
    """
    first, second = (_planes(image) for image in (original, decoded))
    smallest = min(first.shape[-2:])
    if smallest < WINDOW:
        raise ValueError(f"MS-SSIM needs sides of at least {WINDOW} pixels, got {smallest}")
    scales = min(len(SCALE_WEIGHTS), 1 + int(math.log2(smallest / WINDOW)))
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    similarity = np.ones(len(first))
    for scale, weight in enumerate(weights):
        similar, structure = _similarity(first, second, peak)
        term = similar if scale == scales - 1 else structure
        similarity *= np.clip(term, 0.0, None) ** weight
        first, second = _halved(first), _halved(second)
    return float(similarity.mean())


def _difference(original: Image, decoded: Image) -> NDArray[np.float64]:
    if original.shape != decoded.shape:
        raise ValueError(f"images must agree in shape, got {original.shape} and {decoded.shape}")
    return decoded.astype(np.float64) - original.astype(np.float64)


def _squared_error(original: Image, decoded: Image, good: Mask | None) -> float:
    error = _difference(original, decoded)
    return float(np.mean(np.square(error if good is None else error[..., good])))


def _planes(image: Image) -> NDArray[np.float64]:
    return image.astype(np.float64).reshape(-1, *image.shape[-2:])


def _similarity(
    first: NDArray[np.float64], second: NDArray[np.float64], peak: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over each plane of SSIM and of its contrast-structure term."""
    c1, c2 = (LUMINANCE_CONSTANT * peak) ** 2, (CONTRAST_CONSTANT * peak) ** 2
    mean1, mean2 = _windowed(first), _windowed(second)
    variance = _windowed(first * first) - mean1**2 + _windowed(second * second) - mean2**2
    covariance = _windowed(first * second) - mean1 * mean2
    structure = (2 * covariance + c2) / (variance + c2)
    luminance = (2 * mean1 * mean2 + c1) / (mean1**2 + mean2**2 + c1)
    return (luminance * structure).mean(axis=(1, 2)), structure.mean(axis=(1, 2))


def _windowed(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    half = WINDOW // 2
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / WINDOW_SIGMA) ** 2)
    kernel /= kernel.sum()
    smooth = correlate1d(correlate1d(planes, kernel, axis=1), kernel, axis=2)
    return smooth[:, half:-half, half:-half]


def _halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = planes.shape[1] // 2 * 2, planes.shape[2] // 2 * 2
    even = planes[:, :rows, :columns]
    blocks = even.reshape(len(planes), rows // 2, 2, columns // 2, 2)
    return np.asarray(blocks.mean(axis=(2, 4)), dtype=np.float64)
