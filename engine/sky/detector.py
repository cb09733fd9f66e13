"""The detector: photon and read noise, saturation and bleeding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.frame import Mask


def expose(
    rng: np.random.Generator, expected_e: NDArray[np.float64], read_noise_e: float
) -> NDArray[np.float64]:
    """Draw one exposure: Poisson counts of the expected electrons plus Gaussian read noise."""
    return rng.poisson(expected_e) + rng.normal(0.0, read_noise_e, size=expected_e.shape)


def bleed(electrons: NDArray[np.float64], full_well_e: float) -> tuple[NDArray[np.float64], Mask]:
    """Let charge above the full well spill along its column, half up and half down.

    Returns the electrons, at most `full_well_e` each, and the mask of saturated pixels.
    """
    spilled = electrons.copy()
    for column in np.flatnonzero((electrons > full_well_e).any(axis=0)):
        line = spilled[:, column]
        excess = float(np.clip(line - full_well_e, 0, None).sum())
        peak = int(line.argmax())
        np.minimum(line, full_well_e, out=line)
        _fill(line[peak:], excess / 2, full_well_e)
        _fill(line[peak::-1], excess / 2, full_well_e)
    return spilled, spilled >= full_well_e * (1 - 1e-9)


def _fill(line: NDArray[np.float64], charge: float, full_well_e: float) -> None:
    """Pour charge into the pixels of a line in order, each up to the full well, in place."""
    room = full_well_e - line
    before = np.cumsum(room) - room
    line += np.clip(charge - before, 0.0, room)
