"""What "normal" means: fitted scores, their calibration, and the domain they hold for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from engine.anomalies.calibration import Calibration, Combination
from engine.anomalies.preprocessing import PREPROCESSING, PREPROCESSING_DIGEST
from engine.anomalies.projection import Projection
from engine.anomalies.scores.base import Features, FittedScorer, Scores, Standardiser
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.errors import ModelError

FORMAT = "skysieve-anomaly-reference-1"
SCORERS: dict[str, type[FittedScorer]] = {
    scorer.method: scorer
    for scorer in (PcaReconstruction, Mahalanobis, NearestNeighbours, MaximumSoftmax, Energy)
}
HEAD_SCORES = (MaximumSoftmax.method, Energy.method)


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

    `statistic` is the combination's raw value, `p_value` its calibrated p. `class_names` and
    `class_probabilities` are the class head's best guess, None without a head.
    """

    raw: Mapping[str, Scores]
    percentile: Mapping[str, Scores]
    p_values: Mapping[str, Scores]
    statistic: Scores
    percentile_combined: Scores
    p_value: Scores
    search_vectors: NDArray[np.float32]
    class_names: tuple[str, ...] | None
    class_probabilities: Scores | None


@dataclass(frozen=True)
class Reference:
    """Normals of one domain: embedder, fitted methods, calibration, class head and search vectors.

    `domain` holds the sources or source families it was fitted on, `kinds` the kinds of cutout
    ("source", "image"). `fitted_on` counts the fit rows.
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
            "domain": list(self.domain),
            "kinds": list(self.kinds),
            "class_names": list(self.class_names),
            "fitted_on": self.fitted_on,
            "preprocessing": PREPROCESSING,
        }

    def judge(self, features: Features) -> Judged:
        """Score embeddings float32 (N, D) by every method and combine them.

        Raises ModelError when the embeddings do not fit or are not finite.
        """
        self._check(features)
        raw = {method.name: method.score(features) for method in self.methods}
        votes = np.stack([raw[name] for name in self.voters], axis=1)
        statistic = self.combination.statistic(self.calibrations, votes)
        start, stop = self.head_part
        shares = self.head.probabilities(features[:, start:stop]) if self.head else None
        return Judged(
            raw=raw,
            percentile={name: self.calibrations[name].percentile(raw[name]) for name in raw},
            p_values={name: self.calibrations[name].p_value(raw[name]) for name in raw},
            statistic=statistic,
            percentile_combined=self.combination.calibration.percentile(statistic),
            p_value=self.combination.calibration.p_value(statistic),
            search_vectors=self.projection.apply(features),
            class_names=_best(self.class_names, shares),
            class_probabilities=None if shares is None else shares.max(axis=1),
        )

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file; the facts go into its metadata."""
        facts = {
            "name": self.name,
            "embedder": self.embedder,
            "preprocessing": PREPROCESSING_DIGEST,
            "domain": self.domain,
            "kinds": self.kinds,
            "methods": [[m.name, m.start, m.stop, m.scorer.method] for m in self.methods],
            "voters": self.voters,
            "class_names": self.class_names,
            "head_part": self.head_part,
            "fitted_on": self.fitted_on,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: np.ascontiguousarray(value) for name, value in self._tensors().items()}
        save_file(tensors, path, metadata={"format": FORMAT, "facts": json.dumps(facts)})
        path.chmod(0o644)  # safetensors writes files that only their owner may read

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises ModelError when the file is missing, damaged, of another format, or was fitted with
        another preprocessing.
        """
        facts, tensors = _read(path)
        if facts["preprocessing"] != PREPROCESSING_DIGEST:
            raise ModelError(f"{path} was fitted with another preprocessing: fit it again")
        head = ClassHead.from_tensors(_under(tensors, "head")) if facts["class_names"] else None
        calibrations = {
            name: Calibration(scores) for name, scores in _under(tensors, "calibration").items()
        }
        search = _under(tensors, "search")
        return cls(
            name=facts["name"],
            embedder=facts["embedder"],
            domain=tuple(facts["domain"]),
            kinds=tuple(facts["kinds"]),
            methods=tuple(
                Method(name, start, stop, _scorer(kind, name, tensors, head))
                for name, start, stop, kind in facts["methods"]
            ),
            calibrations=calibrations,
            combination=Combination(tuple(facts["voters"]), Calibration(tensors["combined"])),
            projection=Projection(
                Standardiser(search["mean"], search["scale"]), search["directions"]
            ),
            head=head,
            class_names=tuple(facts["class_names"]),
            head_part=(facts["head_part"][0], facts["head_part"][1]),
            fitted_on=facts["fitted_on"],
        )

    def _tensors(self) -> dict[str, NDArray[Any]]:
        tensors: dict[str, NDArray[Any]] = {
            "combined": self.combination.calibration.scores,
            "search.mean": self.projection.standardiser.mean,
            "search.scale": self.projection.standardiser.scale,
            "search.directions": self.projection.directions,
        }
        for name, calibration in self.calibrations.items():
            tensors[f"calibration.{name}"] = calibration.scores
        if self.head is not None:
            tensors |= {f"head.{key}": value for key, value in self.head.tensors().items()}
        for method in self.methods:
            if method.scorer.method not in HEAD_SCORES:
                fitted = method.scorer.tensors()
                tensors |= {f"{method.name}.{key}": value for key, value in fitted.items()}
        return tensors

    def _check(self, features: Features) -> None:
        needed = max(method.stop for method in self.methods)
        if features.ndim != 2 or features.shape[1] != needed:
            raise ModelError(
                f"reference {self.name!r} needs embeddings (N, {needed}) of {self.embedder}, "
                f"got {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ModelError("embeddings must be finite: check the cutouts for NaN")


def _best(names: tuple[str, ...], shares: Scores | None) -> tuple[str, ...] | None:
    return None if shares is None else tuple(names[index] for index in shares.argmax(axis=1))


def _under(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    start = f"{prefix}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}


def _scorer(
    kind: str, name: str, tensors: Mapping[str, NDArray[Any]], head: ClassHead | None
) -> FittedScorer:
    if kind not in SCORERS:
        raise ModelError(f"the reference holds an unknown score {kind!r}: update skysieve")
    if kind in HEAD_SCORES and head is not None:
        return SCORERS[kind].from_tensors(head.tensors())
    return SCORERS[kind].from_tensors(_under(tensors, name))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise ModelError(f"no reference at {path}: fit one with skysieve train anomaly")
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged ({error}): fit or restore it") from error
    if metadata.get("format") != FORMAT:
        raise ModelError(f"{path} is not an anomaly reference of format {FORMAT}")
    return json.loads(metadata["facts"]), tensors
