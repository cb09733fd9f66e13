"""References in one safetensors file: fitted arrays once each, and the facts as metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from engine.anomalies.calibration import Calibration, Combination
from engine.anomalies.confounders import ConditionalCalibration
from engine.anomalies.preprocessing import SIDE, preprocessing_text
from engine.anomalies.projection import Projection
from engine.anomalies.reference import Method, Reference
from engine.anomalies.scores.base import FittedScorer, Standardiser
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.entropy import ClassEntropy
from engine.anomalies.scores.isolation_forest import IsolationForest
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.anomalies.scores.relative_mahalanobis import RelativeMahalanobis
from engine.anomalies.scores.vim import VirtualLogit
from engine.anomalies.scores.vote import Vote
from engine.errors import ModelError
from engine.tensors import read_tensors

FORMAT, FIRST_FORMAT = "skysieve-anomaly-reference-2", "skysieve-anomaly-reference-1"
HEAD_SCORES = (MaximumSoftmax.method, Energy.method)
PARTNER = "partner."
SCORERS: dict[str, type[FittedScorer]] = {
    scorer.method: scorer
    for scorer in (
        PcaReconstruction,
        Mahalanobis,
        RelativeMahalanobis,
        NearestNeighbours,
        IsolationForest,
        VirtualLogit,
        MaximumSoftmax,
        Energy,
        ClassEntropy,
        Vote,
    )
}

Arrays = dict[str, NDArray[Any]]


def write_reference(path: Path, reference: Reference) -> None:
    """Write a reference, and its partner where it has one, to one safetensors file."""
    arrays = _arrays(reference)
    facts = _facts(reference)
    if reference.partner is not None:
        arrays |= {PARTNER + name: v for name, v in _arrays(reference.partner).items()}
        facts["partner"] = _facts(reference.partner)
    stored, same = _once(arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"format": FORMAT, "facts": json.dumps({**facts, "same": same})}
    save_file(stored, path, metadata=metadata)
    path.chmod(0o644)  # safetensors writes files that only their owner may read


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises ModelError when the file is missing, damaged, of another format, or was fitted with
    another preprocessing.
    """
    facts, arrays = _read(path)
    if facts["preprocessing"] != _digest(facts["input_side"]):
        raise ModelError(f"{path} was fitted with another preprocessing: fit it again")
    arrays |= {name: arrays[other] for name, other in facts["same"].items()}
    partner = None
    if "partner" in facts:
        partner = _reference(facts["partner"], _under(arrays, PARTNER), None)
    return _reference(facts, arrays, partner)


def _facts(reference: Reference) -> dict[str, Any]:
    return {
        "name": reference.name,
        "embedder": reference.embedder,
        "preprocessing": _digest(reference.input_side),
        "input_side": reference.input_side,
        "domain": reference.domain,
        "kinds": reference.kinds,
        "methods": [[m.name, m.start, m.stop, m.scorer.method] for m in reference.methods],
        "voters": reference.voters,
        "rule": reference.combination.rule,
        "class_names": reference.class_names,
        "head_part": reference.head_part,
        "fitted_on": reference.fitted_on,
        "calibration_keys": sorted(reference.calibration_keys),
    }


def _arrays(reference: Reference) -> Arrays:
    projection = reference.projection
    arrays: Arrays = {
        "combined": reference.combination.calibration.scores,
        "search.mean": projection.standardiser.mean,
        "search.scale": projection.standardiser.scale,
        "search.directions": projection.directions,
    }
    for name, calibration in reference.calibrations.items():
        arrays[f"calibration.{name}"] = calibration.scores
    if reference.by_area is not None:
        arrays["by_area.edges"] = reference.by_area.edges
        for number, part in enumerate(reference.by_area.bins):
            arrays[f"by_area.{number}"] = part.scores
    if reference.head is not None:
        arrays |= {f"head.{key}": value for key, value in reference.head.tensors().items()}
    for method in reference.methods:
        fitted = method.scorer.tensors()
        arrays |= {f"method.{method.name}.{key}": value for key, value in fitted.items()}
    return arrays


def _reference(facts: Mapping[str, Any], arrays: Arrays, partner: Reference | None) -> Reference:
    head = ClassHead.from_tensors(_under(arrays, "head.")) if facts["class_names"] else None
    calibrations = {n: Calibration(scores) for n, scores in _under(arrays, "calibration.").items()}
    search = _under(arrays, "search.")
    combined = Calibration(arrays["combined"])
    return Reference(
        name=facts["name"],
        embedder=facts["embedder"],
        domain=tuple(facts["domain"]),
        kinds=tuple(facts["kinds"]),
        methods=tuple(
            Method(name, start, stop, _scorer(kind, _under(arrays, f"method.{name}.")))
            for name, start, stop, kind in facts["methods"]
        ),
        calibrations=calibrations,
        combination=Combination(tuple(facts["voters"]), combined, facts["rule"]),
        projection=Projection(Standardiser(search["mean"], search["scale"]), search["directions"]),
        head=head,
        class_names=tuple(facts["class_names"]),
        head_part=(facts["head_part"][0], facts["head_part"][1]),
        fitted_on=facts["fitted_on"],
        input_side=facts["input_side"],
        calibration_keys=frozenset(facts["calibration_keys"]),
        partner=partner,
        by_area=_by_area(_under(arrays, "by_area.")),
    )


def _by_area(arrays: Arrays) -> ConditionalCalibration | None:
    if "edges" not in arrays:
        return None
    bins = (Calibration(arrays[str(number)]) for number in range(len(arrays["edges"]) + 1))
    return ConditionalCalibration(arrays["edges"], tuple(bins))


def _scorer(kind: str, arrays: Arrays) -> FittedScorer:
    if kind not in SCORERS:
        raise ModelError(f"the reference holds an unknown score {kind!r}: update skysieve")
    return SCORERS[kind].from_tensors(arrays)


def _once(arrays: Arrays) -> tuple[Arrays, dict[str, str]]:
    """Every different array once, and for the others the name that theirs is stored under."""
    first: dict[str, str] = {}
    stored: Arrays = {}
    same: dict[str, str] = {}
    for name, value in arrays.items():
        array = np.ascontiguousarray(value)
        content = f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
        if first.setdefault(content, name) == name:
            stored[name] = array
        else:
            same[name] = first[content]
    return stored, same


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    return {key.removeprefix(prefix): v for key, v in arrays.items() if key.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    if not path.is_file():
        raise ModelError(f"no reference at {path}: fit one with skysieve train anomaly")
    arrays, metadata = read_tensors(path)
    if metadata.get("format") not in (FORMAT, FIRST_FORMAT):
        raise ModelError(f"{path} is not an anomaly reference of format {FORMAT}: fit it again")
    facts = json.loads(metadata["facts"])
    return (facts, arrays) if metadata["format"] == FORMAT else _from_first(facts, arrays)


def _from_first(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """The first format in the terms of this one: one head for all its scores, Fisher, no pair."""
    renamed = dict(arrays)
    for name, _, _, kind in facts["methods"]:
        prefix = "head." if kind in HEAD_SCORES else f"{name}."
        renamed |= {f"method.{name}.{key}": v for key, v in _under(arrays, prefix).items()}
    since = {"rule": "fisher", "input_side": SIDE, "calibration_keys": [], "same": {}}
    return {**facts, **since}, renamed


def _digest(side: int) -> str:
    return hashlib.sha256(preprocessing_text(side).encode()).hexdigest()
