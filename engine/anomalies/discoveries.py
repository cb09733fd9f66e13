"""A night's list at a stated false-discovery rate, or the plain statement that there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

DEFAULT_RATE = 0.1
DEFAULT_TOP = 20


@dataclass(frozen=True)
class NightList:
    """What can be claimed of one night's detections.

    `rows` are the row numbers on the list, most anomalous first: the discoveries where there are
    any, else merely the top ones. `adjusted` float64 (N,) holds every row's Benjamini-Hochberg
    value: the smallest rate at which it would be on the list. `calibration_needed` is the least
    calibration size with which a single row could be claimed (None where one is).
    """

    rows: NDArray[np.int64]
    rate: float
    adjusted: NDArray[np.float64]
    message: str
    calibration_needed: int | None
    is_discovery: bool


def benjamini_hochberg(
    p_values: NDArray[np.floating],
    *,
    rate: float = DEFAULT_RATE,
    top: int = DEFAULT_TOP,
    calibrated_on: int | None = None,
) -> NightList:
    """List the detections whose expected share of normals is at most `rate`.

    `p_values` (N,) in (0, 1], one calibration's split-conformal p-values. A row is a discovery
    when its Benjamini-Hochberg value min_{j >= i} p_(j) N / j is at most `rate` (Benjamini &
    Hochberg 1995, J. Royal Stat. Soc. B 57; valid for conformal p-values of one calibration set:
    Bates et al. 2023, Annals of Stat. 51). With n calibration scores no p-value is below
    1 / (n + 1), so nothing can be claimed of N rows unless n + 1 >= N / (k rate) for k anomalies;
    `calibrated_on` (n) lets the message say so. Raises ValueError for a rate outside (0, 1) or
    p-values outside (0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not 0 < rate < 1:
        raise ValueError(f"rate must be between 0 and 1, got {rate}")
    if p.ndim != 1 or (p.size and not (p.min() > 0 and p.max() <= 1)):
        raise ValueError("p_values must be one row of numbers in (0, 1]")
    adjusted = np.asarray(false_discovery_control(p, method="bh") if p.size else p)
    order = np.lexsort((np.arange(p.size), p)).astype(np.int64)
    found = int(np.sum(adjusted <= rate))
    if found:
        message = (
            f"{found} of {p.size} can be claimed: at most {rate:.0%} of such a list is expected to "
            "be ordinary"
        )
        return NightList(order[:found], rate, adjusted, message, None, is_discovery=True)
    shown = order[:top]
    needed = int(np.ceil(p.size / rate)) - 1 if p.size else None
    message = f"no list can be given at {rate:.0%}: these are merely the top {len(shown)}"
    if needed is not None and calibrated_on is not None and calibrated_on < needed:
        message += (
            f"; {calibrated_on} calibration images cannot single out one of {p.size}, "
            f"{needed} could"
        )
    return NightList(shown, rate, adjusted, message, needed, is_discovery=False)
