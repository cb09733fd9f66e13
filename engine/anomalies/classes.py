"""A class head with honest probabilities: its penalty and temperature chosen on held-out folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from engine.anomalies.scores.base import Features, Scores, Standardiser, principal_directions
from engine.anomalies.scores.class_head import ClassHead
from engine.errors import CalibrationError

COMPONENTS = 256
PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
FOLDS = 4
ECE_BINS = 15
LOWEST, HIGHEST = 0.25, 4.0


@dataclass(frozen=True)
class Probe:
    """A linear probe: `head` holds calibrated logits, `raw` the same before the temperature.

    `names` are the classes in the order of the logits, `C` the inverse penalty and `temperature`
    the divisor of the logits, both chosen by the negative log likelihood of held-out folds.
    """

    head: ClassHead
    raw: ClassHead
    names: tuple[str, ...]
    C: float
    temperature: float
    held_out_nll: float


def fit_probe(features: Features, labels: Sequence[str], keys: Sequence[str]) -> Probe:
    """Fit logistic regression on the 256 leading principal components of z-scored features.

    `features` float32 (N, D), one class name and one source-image key a row; rows of one key share
    a fold. Of six penalties the one with the least negative log likelihood over 4 folds by key is
    taken, and the temperature T that lowers it further (Guo et al. 2017, ICML: logits / T). Raises
    CalibrationError with fewer than two classes or 4 source images.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise CalibrationError(f"a class head needs at least two classes, got {names}")
    if len(set(keys)) < FOLDS:
        raise CalibrationError(
            f"a class head needs at least {FOLDS} source images, got {len(set(keys))}"
        )
    target = np.array([names.index(label) for label in labels])
    folds = list(GroupKFold(FOLDS).split(features, target, list(keys)))
    best: tuple[float, float, Scores] | None = None
    reduced = [_Reduced.fit(features[train]) for train, _ in folds]
    for C in PENALTIES:
        logits = np.zeros((len(target), len(names)))
        for (train, held_out), space in zip(folds, reduced, strict=True):
            weight, bias = _regression(space.apply(features[train]), target[train], len(names), C)
            logits[held_out] = space.apply(features[held_out]) @ weight.T + bias
        nll = negative_log_likelihood(logits, target)
        if best is None or nll < best[0]:
            best = (nll, C, logits)
    if best is None:
        raise CalibrationError("no penalty could be fitted: check the features")
    _, C, logits = best
    temperature = fit_temperature(logits, target)
    space = _Reduced.fit(features)
    weight, bias = _regression(space.apply(features), target, len(names), C)
    whole = weight @ space.directions
    raw = ClassHead(
        space.standardiser,
        whole.astype(np.float32),
        (bias - whole @ space.centre).astype(np.float32),
    )
    head = replace(
        raw,
        weight=(raw.weight / temperature).astype(np.float32),
        bias=(raw.bias / temperature).astype(np.float32),
    )
    held_out_nll = negative_log_likelihood(logits / temperature, target)
    return Probe(head, raw, names, C, temperature, held_out_nll)


def fit_temperature(logits: Scores, target: NDArray[np.integer]) -> float:
    """The T in [0.25, 4] that minimises the negative log likelihood of logits (N, K) / T."""

    def nll(log_temperature: float) -> float:
        return negative_log_likelihood(logits / np.exp(log_temperature), target)

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    return float(np.exp(minimize_scalar(nll, bounds=bounds, method="bounded").x))


def negative_log_likelihood(logits: Scores, target: NDArray[np.integer]) -> float:
    """-mean log softmax(logits)[target], in nats; logits (N, K), target (N,)."""
    log_p = log_softmax(np.asarray(logits, dtype=np.float64), axis=1)
    return float(-np.mean(log_p[np.arange(len(target)), target]))


def expected_calibration_error(probabilities: Scores, target: NDArray[np.integer]) -> float:
    """sum over 15 equal-width bins of confidence of n_b/N |accuracy_b - confidence_b|.

    Of the largest probability (top label), L1 norm: Naeini et al. (2015), AAAI.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    of_bin = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    total = 0.0
    for number in np.unique(of_bin):
        rows = of_bin == number
        total += rows.mean() * abs(float(right[rows].mean() - confidence[rows].mean()))
    return float(total)


def confusion(
    names: Sequence[str], guess: NDArray[np.integer], target: NDArray[np.integer]
) -> dict[str, dict[str, int]]:
    """Counts by true class, then by guessed class."""
    return {
        true: {
            guessed: int(np.sum((target == t) & (guess == g))) for g, guessed in enumerate(names)
        }
        for t, true in enumerate(names)
    }


@dataclass(frozen=True)
class _Reduced:
    """z-scores on their leading principal directions."""

    standardiser: Standardiser
    centre: Scores
    directions: Scores

    @classmethod
    def fit(cls, features: Features) -> _Reduced:
        standardiser = Standardiser.fit(features)
        z = standardiser.apply(features)
        centre = z.mean(axis=0)
        _, directions = principal_directions(z - centre, COMPONENTS)
        return cls(standardiser, centre, directions)

    def apply(self, features: Features) -> Scores:
        z = self.standardiser.apply(features) - self.centre
        return np.asarray(z @ self.directions.T, dtype=np.float64)


def _regression(
    rows: Scores, target: NDArray[np.integer], classes: int, C: float
) -> tuple[Scores, Scores]:
    """Weight (K, D) and bias (K,); classes that no row has get a bias that excludes them."""
    model = LogisticRegression(C=C, max_iter=300).fit(rows, target)
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole, offset = np.zeros((classes, rows.shape[1])), np.full(classes, -20.0)
    whole[model.classes_], offset[model.classes_] = weight, bias
    return whole, offset
