"""The named choices of a cosmic-ray run, apart from what carries them out: no torch here."""

from __future__ import annotations

from typing import Literal, get_args

NetMethod = Literal["vi", "unet", "stis", "ensemble"]
DEFAULT_METHOD: NetMethod = "unet"

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

FillName = Literal["median", "smooth", "learned"]
FILLS: tuple[str, ...] = get_args(FillName)
DEFAULT_FILL: FillName = "learned"

ALL_VIEWS = 8
VIEW_COUNTS = (1, ALL_VIEWS)


def fitting_views(method: str) -> int:
    """All eight views of a single network; one view where many networks are passed through."""
    return ALL_VIEWS if method in ("unet", "stis") else 1
