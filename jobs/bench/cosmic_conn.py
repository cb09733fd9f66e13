"""Cosmic-CoNN's shipped models as peers, where the package is installed."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np

from engine.cosmicrays.evaluation import Detector
from engine.cosmicrays.holdouts import LabelledFrame
from engine.errors import ModelError
from engine.frame import Pixels
from jobs.bench.cosmicrays_nets import Contender

PACKAGE = "cosmic_conn"
MODELS = ("HST_ACS_WFC", "ground_imaging")


def cosmic_conn_contenders() -> list[Contender]:
    """Cosmic-CoNN (Xu et al. 2023), by its own code. Raises ModelError where it is missing."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError("not installed: pip install --no-deps cosmic-conn==0.6.1")
    return [Contender(f"{PACKAGE}_{name.lower()}", _detector(name)) for name in MODELS]


def _detector(name: str) -> Detector:
    model = importlib.import_module(PACKAGE).init_model(name)

    def detect(frame: LabelledFrame) -> Pixels:
        return np.asarray(model.detect_cr(frame.pixels.copy()), dtype=np.float32)

    return detect
