"""Splits by hash: which image belongs to fitting, calibration or test, decided once for ever."""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["fit", "calibrate", "test"]


def split_of(key: str, *, calibrate: float = 0.2, test: float = 0.2) -> Split:
    """Assign `key` (a frame digest, or the source image's name for crops of one) to a split.

    The shares are of the hash range, so that the same key lands in the same split in every run.
    Raises ValueError when the shares leave nothing to fit on.
    """
    if not (calibrate >= 0 and test >= 0 and calibrate + test < 1):
        raise ValueError(f"shares must be >= 0 and sum below 1, got {calibrate} and {test}")
    position = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if position < test:
        return "test"
    if position < test + calibrate:
        return "calibrate"
    return "fit"
