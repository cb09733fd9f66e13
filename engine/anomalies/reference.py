"""What "normal" means: fitted scores, their calibration, and the domain they hold for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.calibration import Calibration, Combination
from engine.anomalies.confounders import ConditionalCalibration
from engine.anomalies.preprocessing import SIDE, preprocessing_text
from engine.anomalies.projection import Projection
from engine.anomalies.scores.base import Features, FittedScorer, Scores
from engine.anomalies.scores.class_head import ClassHead
from engine.errors import ModelError
from engine.split import Split, split_of


def source_family(source: str) -> str:
    """The part of a frame's source before the first colon: "sim:2026-03-01" is of family "sim"."""
    return source.split(":", 1)[0]


@dataclass(frozen=True)
class Method:
    """One score over one part of the embedding. `name` is unique within a reference."""

    name: str
    start: int
    stop: int
    scorer: FittedScorer

    def score(self, features: Features) -> Scores:
        """Raw scores float64 (N,) of whole embeddings float32 (N, D)."""
        return self.scorer.score(features[:, self.start : self.stop])


@dataclass(frozen=True)
class Judged:
    """Scores of N embeddings under a reference, all float64 (N,) by method name.

    `statistic` is the combination's raw value, `p_value` its calibrated p, `contributions` each
    voter's share of the statistic. `class_names` and `class_probabilities` are the class head's
    best guess, None without a head. `conditioned_p_value` is the combination's p among normals of
    like area, NaN where the area is unknown, None where no areas were given or fitted.
    """

    raw: Mapping[str, Scores]
    percentile: Mapping[str, Scores]
    p_values: Mapping[str, Scores]
    contributions: Mapping[str, Scores]
    statistic: Scores
    percentile_combined: Scores
    p_value: Scores
    search_vectors: NDArray[np.float32]
    class_names: tuple[str, ...] | None
    class_probabilities: Scores | None
    conditioned_p_value: Scores | None = None


@dataclass(frozen=True)
class Reference:
    """Normals of one domain: embedder, fitted methods, calibration, class head and search vectors.

    `domain` holds the sources or source families it was fitted on, `kinds` the kinds of cutout
    ("source", "image"). `fitted_on` counts the fit rows, `input_side` is the embedder's and
    `calibration_keys` are the source images of the calibration rows. `partner`, where there is
    one, was fitted on this one's calibration half and calibrated on its fit half, so that images
    of the reference itself can be judged by the one of the two that was not fitted on them.
    `by_area` calibrates the combination among sources of like area, None without areas.
    """

    name: str
    embedder: str
    domain: tuple[str, ...]
    kinds: tuple[str, ...]
    methods: tuple[Method, ...]
    calibrations: Mapping[str, Calibration]
    combination: Combination
    projection: Projection
    head: ClassHead | None
    class_names: tuple[str, ...]
    head_part: tuple[int, int]
    fitted_on: int
    input_side: int = SIDE
    calibration_keys: frozenset[str] = frozenset()
    partner: Reference | None = None
    by_area: ConditionalCalibration | None = None

    def covers(self, source: str, kind: str) -> bool:
        """Whether cutouts of this kind from `source` belong to what was fitted and calibrated."""
        known = source in self.domain or source_family(source) in self.domain
        return known and kind in self.kinds

    @property
    def voters(self) -> tuple[str, ...]:
        """Names of the methods that the combination reads."""
        return self.combination.members

    @property
    def calibrated_on(self) -> int:
        """Number of held-out rows that p-values rest on."""
        return self.combination.calibration.size

    def summary(self) -> dict[str, Any]:
        """What it is made of, as plain values for a model card."""
        return {
            "embedder": self.embedder,
            "methods": [method.name for method in self.methods],
            "combined": list(self.voters),
            "combined_by": self.combination.rule,
            "cross_fitted": self.partner is not None,
            "domain": list(self.domain),
            "kinds": list(self.kinds),
            "class_names": list(self.class_names),
            "fitted_on": self.fitted_on,
            "preprocessing": preprocessing_text(self.input_side),
        }

    def judge(
        self,
        features: Features,
        keys: Sequence[str] | None = None,
        areas: NDArray[np.float64] | None = None,
    ) -> Judged:
        """Score embeddings float32 (N, D) by every method and combine them.

        `keys` are the digests of the images that the rows come from. With them no row is judged by
        a model that was fitted on its image (where there is a partner), and a row that took part
        in the calibration is left out of its own p-value. `areas` float64 (N,) are source areas in
        px, NaN where unknown. Raises ModelError when the embeddings do not fit or are not finite.
        """
        self._check(features)
        if keys is not None and len(keys) != len(features):
            raise ModelError(f"one key per embedding is needed, got {len(keys)}, {len(features)}")
        if areas is not None and len(areas) != len(features):
            raise ModelError(f"one area per embedding is needed, got {len(areas)}, {len(features)}")
        if self.partner is None or not keys:
            return self._judge(features, keys, areas)
        fitted = np.array([half_of(key) == "fit" for key in keys], dtype=np.bool_)
        parts = []
        for judge, rows in (
            (self, np.flatnonzero(~fitted)),
            (self.partner, np.flatnonzero(fitted)),
        ):
            if len(rows):
                own = None if areas is None else areas[rows]
                named = [keys[int(row)] for row in rows]
                parts.append((rows, judge._judge(features[rows], named, own)))
        return replace(_joined(parts), search_vectors=self.projection.apply(features))

    def _judge(
        self,
        features: Features,
        keys: Sequence[str] | None,
        areas: NDArray[np.float64] | None,
    ) -> Judged:
        own = np.array([key in self.calibration_keys for key in keys or ()], dtype=np.bool_)
        own = own if keys is not None else np.zeros(len(features), dtype=np.bool_)
        raw = {method.name: method.score(features) for method in self.methods}
        votes = np.stack([raw[name] for name in self.voters], axis=1)
        statistic = self.combination.statistic(self.calibrations, votes)
        shares = self.combination.contributions(self.calibrations, votes)
        start, stop = self.head_part
        classes = self.head.probabilities(features[:, start:stop]) if self.head else None
        return Judged(
            raw=raw,
            percentile={name: self.calibrations[name].percentile(raw[name]) for name in raw},
            p_values={name: self.calibrations[name].p_value(raw[name], own) for name in raw},
            contributions={name: shares[:, i] for i, name in enumerate(self.voters)},
            statistic=statistic,
            percentile_combined=self.combination.calibration.percentile(statistic),
            p_value=self.combination.calibration.p_value(statistic, own),
            search_vectors=self.projection.apply(features),
            class_names=_best(self.class_names, classes),
            class_probabilities=None if classes is None else classes.max(axis=1),
            conditioned_p_value=(
                None
                if self.by_area is None or areas is None
                else self.by_area.p_value(statistic, areas, own)
            ),
        )

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file; the facts go into its metadata."""
        from engine.anomalies.storage import write_reference

        write_reference(path, self)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises ModelError when the file is missing, damaged, of another format, or was fitted with
        another preprocessing.
        """
        from engine.anomalies.storage import read_reference

        return read_reference(path)

    def _check(self, features: Features) -> None:
        needed = max(method.stop for method in self.methods)
        if features.ndim != 2 or features.shape[1] != needed:
            raise ModelError(
                f"reference {self.name!r} needs embeddings (N, {needed}) of {self.embedder}, "
                f"got {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ModelError("embeddings must be finite: check the cutouts for NaN")


def half_of(key: str) -> Split:
    """The half, "fit" or "calibrate", in which a cross-fitted reference keeps a source image."""
    return split_of(key, calibrate=0.5, test=0.0)


def _joined(parts: Sequence[tuple[NDArray[np.int64], Judged]]) -> Judged:
    """The rows of several judgements in their own order; search vectors are left as they come."""
    rows = np.concatenate([rows for rows, _ in parts])
    order = np.argsort(rows, kind="stable")
    judged = [part for _, part in parts]

    def one(values: Sequence[Scores]) -> Scores:
        return np.asarray(np.concatenate(values)[order], dtype=np.float64)

    def each(tables: Sequence[Mapping[str, Scores]]) -> dict[str, Scores]:
        return {name: one([table[name] for table in tables]) for name in tables[0]}

    conditioned = [part.conditioned_p_value for part in judged]
    is_conditioned = all(values is not None for values in conditioned)
    named = [part.class_names for part in judged]
    sure = [part.class_probabilities for part in judged]
    names = [name for group in named for name in group or ()]
    has_classes = all(group is not None for group in named)
    return Judged(
        raw=each([part.raw for part in judged]),
        percentile=each([part.percentile for part in judged]),
        p_values=each([part.p_values for part in judged]),
        contributions=each([part.contributions for part in judged]),
        statistic=one([part.statistic for part in judged]),
        percentile_combined=one([part.percentile_combined for part in judged]),
        p_value=one([part.p_value for part in judged]),
        search_vectors=judged[0].search_vectors,
        class_names=tuple(names[index] for index in order) if has_classes else None,
        class_probabilities=one([s for s in sure if s is not None]) if has_classes else None,
        conditioned_p_value=(
            one([values for values in conditioned if values is not None])
            if is_conditioned
            else None
        ),
    )


def _best(names: tuple[str, ...], shares: Scores | None) -> tuple[str, ...] | None:
    return None if shares is None else tuple(names[index] for index in shares.argmax(axis=1))
