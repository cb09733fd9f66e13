"""Cosmic rays: a plain and a Bayesian U-Net, their probabilities, and the cleaned frame.

For scripts: `from engine.cosmicrays import train, deepCR`; both load torch when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cosmicrays.own_training import train
    from engine.cosmicrays.scripting import deepCR

__all__ = ["deepCR", "train"]


def __getattr__(name: str) -> object:
    if name == "deepCR":
        from engine.cosmicrays.scripting import deepCR

        return deepCR
    if name == "train":
        from engine.cosmicrays.own_training import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
