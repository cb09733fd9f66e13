"""The hits of a mask: connected groups of pixels with what the detector says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import layers
from dashboard.access import owner
from engine.frame import Mask
from engine.masks import EditedMask, Groups, connected_groups, edited
from engine.metrics.calibration import binary_entropy
from jobs.masks import edits_of

Row = dict[str, Any]


@dataclass(frozen=True)
class MaskView:
    """A frame's mask at a threshold: the model's, and as people left it, with its groups."""

    model: Mask
    model_hits: int
    said: EditedMask
    groups: Groups

    @property
    def added(self) -> Mask:
        """Pixels that people added to the model's mask."""
        added: Mask = self.said.mask & ~self.model
        return added

    @property
    def removed(self) -> Mask:
        """Pixels that people took out of the model's mask."""
        removed: Mask = self.model & ~self.said.mask
        return removed


def mask_view(run: Row, threshold: float, log: Sequence[Row]) -> MaskView:
    """The mask of a run at `threshold` with the edits of `log` that hold; from stored values."""
    holding = tuple(row["edit_id"] for row in log if row["current"])
    return _mask_view(run, log, run["probability_array"], threshold, holding)


@st.cache_resource(max_entries=16, show_spinner=False)
def _mask_view(
    _run: Row,
    _log: Sequence[Row],
    array: str,  # noqa: ARG001  part of the cache's key
    threshold: float,
    holding: tuple[str, ...],
) -> MaskView:
    model = layers.probability(_run) > threshold
    groups = connected_groups(model)
    if not holding:
        return MaskView(model, groups.count, EditedMask(model, np.zeros_like(model)), groups)
    said = edited(model, edits_of(owner().store, _log))
    return MaskView(model, groups.count, said, connected_groups(said.mask))


@dataclass(frozen=True)
class Hits:
    """Figures of every group of a mask, each (count,); `order` lists them most doubtful first.

    `peak` is the highest probability in the group and doubt is 1 - peak: how little the detector
    says that anything there is a cosmic ray. `entropy` is the mean predictive entropy in nats.
    Groups that a person spoke about in full (`settled`) come last.
    """

    boxes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    peak: NDArray[np.float64]
    entropy: NDArray[np.float64]
    settled: NDArray[np.bool_]
    order: NDArray[np.int64]


def hits_of(run: Row, view: MaskView) -> Hits:
    """Measure the groups of a mask on the run's stored probabilities."""
    groups, count = view.groups, view.groups.count
    stated = layers.probability(run).ravel()[groups.pixels].astype(np.float64)
    sizes = groups.sizes()
    peak = np.zeros(count)
    np.maximum.at(peak, groups.number, stated)
    total = np.bincount(groups.number, weights=binary_entropy(stated), minlength=count)
    entropy: NDArray[np.float64] = total / np.maximum(sizes, 1)
    judged = view.said.judged.ravel()[groups.pixels]
    settled = np.bincount(groups.number, judged, minlength=count) >= sizes
    return Hits(
        boxes=groups.boxes(),
        sizes=sizes,
        peak=peak,
        entropy=entropy,
        settled=settled,
        order=np.lexsort((-entropy, peak, settled)),
    )
