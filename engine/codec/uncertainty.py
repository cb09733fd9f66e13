"""How far decoded pixels may be wrong: Monte-Carlo dropout, and the entropy model's own answer."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from engine.codec.colour import squared_errors
from engine.codec.decoding import Decoded, LatentPlanes
from engine.codec.network import STRIDE
from engine.codec.transform import synthesise
from engine.errors import NotApplicable
from engine.frame import Pixels

RANK_BLOCK = 32
FEWEST_BLOCKS = 4


def dropout_deviation(decoded: Decoded, samples: int, rng: np.random.Generator) -> Pixels:
    """Standard deviation of the reconstruction under decoder dropout, float32 (H, W).

    In the frame's unit, over `samples` >= 2 decoder passes (Gal and Ghahramani, 2016, "Dropout as a
    Bayesian approximation"); planes are combined by the root mean square. It ranks where a decoder
    is unsure of itself and is much smaller than the error: quantisation, which causes most of it,
    is not sampled. Beyond about 3 bits per pixel, outside the rates trained on, it falls to zero.
    Raises NotApplicable for a file that was not coded by the learned codec.
    """
    return deviation_of(decoded, drawn_variances(decoded, samples, rng))


def drawn_variances(
    decoded: Decoded, samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """`sampled_variances` over dropout that `rng` seeds."""
    if samples < 2:
        raise ValueError(f"a deviation needs at least 2 samples, got {samples}")
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    return sampled_variances(decoded, samples, generator)


def deviation_of(decoded: Decoded, variances: NDArray[np.float64]) -> Pixels:
    """`dropout_deviation` from variances that were drawn already."""
    return _in_samples(decoded, variances)


def predicted_rmse(decoded: Decoded) -> Pixels:
    """Root-mean-square error expected of each pixel, float32 (H, W), from the bitstream alone.

    For each latent of scale s and step q the entropy model gives D = E[(x - Q(x))^2], x ~ N(0, s),
    in closed form; the basis being close to orthonormal, a cell of 16 x 16 pixels has the squared
    error sum(D) / 256. NaN where a tile was lost. Raises NotApplicable as `dropout_deviation`.
    """
    planes = learned_planes(decoded)
    cells = planes.expected_squared_error
    spread = cells.repeat(STRIDE, axis=1).repeat(STRIDE, axis=2)
    height, width = planes.mapped.shape[1:]
    return _in_samples(decoded, spread[:, :height, :width])


def rank_correlation(expected: Pixels, error: Pixels) -> float:
    """Spearman correlation of expected and true error over blocks of 32 x 32 pixels.

    Both (H, W); each block counts with its root mean square. NaN below four blocks.
    """
    first, second = (block_rms(image) for image in (expected, error))
    usable = np.isfinite(first) & np.isfinite(second)
    first, second = first[usable], second[usable]
    if first.size < FEWEST_BLOCKS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)


def learned_planes(decoded: Decoded) -> LatentPlanes:
    if decoded.planes is None:
        raise NotApplicable(
            "a lossless or near-lossless file has no uncertainty map: its error is bounded by "
            f"{decoded.header.near}"
        )
    return decoded.planes


def sampled_variances(
    decoded: Decoded, samples: int, generator: torch.Generator
) -> NDArray[np.float64]:
    """Unbiased variance of every plane over the passes, (P, H, W), in the network's range."""
    planes = learned_planes(decoded)
    variances = np.stack(
        [
            _sampled_variance(planes, index, decoded, samples, generator)
            for index in range(len(planes.mapped))
        ]
    )
    return np.asarray(squared_errors(variances) if decoded.header.luma else variances, np.float64)


def _sampled_variance(
    planes: LatentPlanes,
    index: int,
    decoded: Decoded,
    samples: int,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    """Unbiased variance over the passes, by Welford's update."""
    mean = np.zeros(decoded.valid.shape)
    squares = np.zeros(decoded.valid.shape)
    for count in range(1, samples + 1):
        drawn = synthesise(
            planes.model,
            planes.latents[index],
            planes.log_q[index],
            decoded.valid.shape,
            generator,
        )
        step = drawn - mean
        mean += step / count
        squares += step * (drawn - mean)
    return squares / (samples - 1)


def _in_samples(decoded: Decoded, squared: NDArray[np.floating]) -> Pixels:
    """Squared errors (P, H, W) of the network's range as a root mean square in samples, (H, W)."""
    planes = learned_planes(decoded)
    slope = decoded.header.mapping.slope(planes.mapped)
    mean = np.asarray((squared * slope**2).mean(axis=0), dtype=np.float32)
    return np.sqrt(mean)


def block_rms(image: Pixels) -> NDArray[np.float64]:
    rows, columns = (length // RANK_BLOCK for length in image.shape)
    cut = image[: rows * RANK_BLOCK, : columns * RANK_BLOCK].astype(np.float64)
    blocks = np.square(cut).reshape(rows, RANK_BLOCK, columns, RANK_BLOCK)
    return np.sqrt(np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64)).ravel()


def sparsification_error(expected: Pixels, error: Pixels) -> float:
    """Area under the sparsification error curve (AUSE), 0 = the true error's order, 1 = chance.

    Blocks of 32 x 32 pixels are taken away from the largest expected error down; the curve is the
    mean square of what is left, its excess over the oracle's curve divided by that of no order at
    all (after Ilg et al., 2018). NaN below four blocks.
    """
    first, second = (block_rms(image) for image in (expected, error))
    usable = np.isfinite(first) & np.isfinite(second)
    first, squared = first[usable], np.square(second[usable])
    if first.size < FEWEST_BLOCKS or squared.sum() == 0:
        return float("nan")
    left = np.arange(first.size, 0, -1)
    curves = [
        np.cumsum(squared[order][::-1])[::-1] / left
        for order in (np.argsort(-first, kind="stable"), np.argsort(-squared, kind="stable"))
    ]
    chance = np.full(first.size, squared.mean())
    excess = float((chance - curves[1]).sum())
    return float((curves[0] - curves[1]).sum()) / excess if excess > 0 else float("nan")
