"""Calibration of a binary probability: do things said to happen with 30 % happen in 30 %?

Throughout, `probability` is float in [0, 1] and `truth` bool or 0/1, arrays of the same shape.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import CalibrationError

Floats = NDArray[np.float64]
Norm = Literal["l1", "l2", "max"]
Scheme = Literal["equal_width", "equal_mass"]

LEAST_PROBABILITY = 1e-7
SHARPEST, SOFTEST = 0.02, 50.0
BISECTIONS = 60
MOST_POINTS = 100


def binary_entropy(probability: ArrayLike) -> NDArray[np.floating[Any]]:
    """Entropy of a Bernoulli variable in nats, in [0, ln 2]; keeps the shape and float type.

    H(p) = -p ln p - (1 - p) ln(1 - p), with 0 ln 0 = 0 (Shannon 1948).
    """
    p = np.asarray(probability)
    if not np.issubdtype(p.dtype, np.floating):
        p = p.astype(np.float64)
    tiny = np.finfo(p.dtype).tiny
    one_sided = p * np.log(np.maximum(p, tiny)) + (1 - p) * np.log(np.maximum(1 - p, tiny))
    entropy: NDArray[np.floating[Any]] = np.maximum(-one_sided, 0)
    return entropy


def brier(probability: ArrayLike, truth: ArrayLike) -> float:
    """Mean of (p - y)^2, in [0, 1], lower is better (Brier 1950)."""
    p, y = _paired(probability, truth)
    return float(np.mean((p - y) ** 2))


def nll(probability: ArrayLike, truth: ArrayLike) -> float:
    """Mean negative log-likelihood in nats: -mean(y ln p + (1 - y) ln(1 - p)).

    Probabilities are kept 1e-7 away from 0 and 1, so that one certain mistake stays finite.
    """
    p, y = _paired(probability, truth)
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


@dataclass(frozen=True)
class ReliabilityCurve:
    """Probabilities in bins: `edges` (B + 1,); `counts`, `confidence` and `frequency` (B,).

    `confidence` is the mean probability and `frequency` the observed share of positives in the
    bin, both NaN where it is empty. A bin holds its lower edge; the last one its upper edge too.
    """

    edges: Floats
    counts: NDArray[np.int64]
    confidence: Floats
    frequency: Floats


def reliability_curve(
    probability: ArrayLike, truth: ArrayLike, bins: int = 15, scheme: Scheme = "equal_width"
) -> ReliabilityCurve:
    """Observed frequency against stated probability (DeGroot & Fienberg 1983).

    "equal_width" bins split [0, 1] evenly; "equal_mass" bins split at quantiles, and are fewer
    than `bins` where many probabilities are equal. Raises ValueError on bins < 1.
    """
    p, y = _paired(probability, truth)
    edges = _edges(p, bins, scheme)
    number = np.searchsorted(edges[1:-1], p, side="right")
    size = edges.size - 1
    counts = np.bincount(number, minlength=size)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(number, p, minlength=size) / counts
        frequency = np.bincount(number, y, minlength=size) / counts
    return ReliabilityCurve(edges, counts.astype(np.int64), confidence, frequency)


def _edges(p: Floats, bins: int, scheme: Scheme) -> Floats:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    even = np.linspace(0.0, 1.0, bins + 1)
    if scheme == "equal_width":
        return even
    edges = np.unique(np.quantile(p, even))
    return np.r_[edges, edges] if edges.size == 1 else edges


def ece(
    probability: ArrayLike,
    truth: ArrayLike,
    bins: int = 15,
    norm: Norm = "l1",
    scheme: Scheme = "equal_width",
    *,
    by_class: bool = False,
) -> float:
    """Expected calibration error over bins b of |confidence_b - frequency_b|, lower is better.

    "l1": sum n_b / n |c_b - f_b| (Naeini, Cooper & Hauskrecht 2015); "l2": the root of
    sum n_b / n (c_b - f_b)^2 (Kumar, Liang & Ma 2019); "max": the largest difference. With
    `by_class` the mean of the errors among pixels called negative (p <= 0.5) and called positive
    (p > 0.5), so that a rare class weighs as much as a common one (class conditionality of Nixon
    et al. 2019); a class that is never called is left out.
    """
    p, y = _paired(probability, truth)
    if by_class:
        called = p > 0.5
        parts = [
            ece(p[side], y[side], bins, norm, scheme) for side in (~called, called) if side.any()
        ]
        return float(np.mean(parts))
    curve = reliability_curve(p, y, bins, scheme)
    filled = curve.counts > 0
    gap = np.abs(curve.confidence - curve.frequency)[filled]
    weight = curve.counts[filled] / p.size
    if norm == "max":
        return float(gap.max())
    return float(weight @ gap if norm == "l1" else np.sqrt(weight @ gap**2))


@dataclass(frozen=True)
class RiskCoverage:
    """`coverage` in (0, 1], the share kept, and `risk`, the share of those called wrong."""

    coverage: Floats
    risk: Floats


def risk_coverage(
    probability: ArrayLike, truth: ArrayLike, uncertainty: ArrayLike | None = None
) -> RiskCoverage:
    """Error rate of the call p > 0.5 when only the k surest pixels are kept, for every k.

    Surest first by `uncertainty` ascending, or by |p - 0.5| descending when None. Ties share
    their errors evenly, which is the expectation over their order (El-Yaniv & Wiener 2010).
    """
    p, y = _paired(probability, truth)
    doubt = -np.abs(p - 0.5) if uncertainty is None else _paired(uncertainty, truth)[0]
    wrong = ((p > 0.5) != (y > 0.5)).astype(np.float64)
    _, tie, size = np.unique(doubt, return_inverse=True, return_counts=True)
    errors = np.repeat(np.bincount(tie, wrong) / size, size)
    kept = np.arange(1, p.size + 1)
    return RiskCoverage(kept / p.size, np.cumsum(errors) / kept)


def aurc(probability: ArrayLike, truth: ArrayLike, uncertainty: ArrayLike | None = None) -> float:
    """Area under the risk-coverage curve, lower is better.

    Convention: the mean of the risk over all n coverages 1/n ... n/n (Geifman, Uziel &
    El-Yaniv 2019), without subtracting the best possible ordering.
    """
    return float(risk_coverage(probability, truth, uncertainty).risk.mean())


def tempered(probability: ArrayLike, temperature: float) -> Floats:
    """The probability after dividing its logit by `temperature`, which must be positive."""
    if not temperature > 0:
        raise ValueError(f"a temperature must be positive, got {temperature}")
    p = np.asarray(probability, dtype=np.float64)
    return _sigmoid(_logit(p) / temperature)


def temperature(probability: ArrayLike, truth: ArrayLike) -> float:
    """The temperature that minimises the NLL of sigmoid(logit(p) / T) (Guo et al. 2017).

    Searched in [0.02, 50]; above 1 the probabilities were too sure, below 1 not sure enough. Fit it
    on data held out from both training and report. Raises CalibrationError unless both classes
    occur.
    """
    p, y = _paired(probability, truth)
    if not 0 < y.sum() < y.size:
        raise CalibrationError("a temperature needs positive and negative pixels: give more data")
    z = _logit(p)
    low, high = 1 / SOFTEST, 1 / SHARPEST
    for _ in range(BISECTIONS):
        middle = np.sqrt(low * high)
        too_sure = np.mean((_sigmoid(middle * z) - y) * z) > 0
        low, high = (low, middle) if too_sure else (middle, high)
    return float(1 / np.sqrt(low * high))


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability diagram; `confidence` and `frequency` are None where it is empty."""

    lower: float
    upper: float
    count: int
    confidence: float | None
    frequency: float | None


@dataclass(frozen=True)
class CalibrationReport:
    """How far a set of probabilities can be believed, measured on one data set.

    `ece` has equal-width bins, `ece_equal_mass` equal-mass ones, `ece_by_class` equal-width ones
    within each called class; all with `ece_bins` bins and `ece_norm`. `temperature` is the one that
    would have been best here (a diagnosis, not applied), None where one class is missing.
    `risk_coverage` holds at most 100 points (coverage, risk).
    """

    dataset: str
    n: int
    positives: int
    brier: float
    nll: float
    ece: float
    ece_equal_mass: float
    ece_by_class: float
    ece_bins: int
    ece_norm: Norm
    aurc: float
    temperature: float | None
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[tuple[float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, fit for JSON."""
        return asdict(self)


def calibration_report(
    probability: ArrayLike,
    truth: ArrayLike,
    ignore: ArrayLike | None = None,
    *,
    dataset: str,
    bins: int = 15,
    norm: Norm = "l1",
) -> CalibrationReport:
    """Measure a set of probabilities; `ignore`, bool of the same shape, is left out of everything.

    Raises CalibrationError when nothing is left.
    """
    p, y = _paired(probability, truth)
    if ignore is not None:
        kept = ~np.asarray(ignore, dtype=bool).ravel()
        p, y = p[kept], y[kept]
    if not p.size:
        raise CalibrationError(f"no pixel of {dataset} is left to measure: check its ignore mask")
    curve = risk_coverage(p, y)
    return CalibrationReport(
        dataset=dataset,
        n=p.size,
        positives=int(y.sum()),
        brier=brier(p, y),
        nll=nll(p, y),
        ece=ece(p, y, bins, norm),
        ece_equal_mass=ece(p, y, bins, norm, "equal_mass"),
        ece_by_class=ece(p, y, bins, norm, by_class=True),
        ece_bins=bins,
        ece_norm=norm,
        aurc=float(curve.risk.mean()),
        temperature=temperature(p, y) if 0 < y.sum() < y.size else None,
        reliability=_bins(reliability_curve(p, y, bins)),
        risk_coverage=_thinned(curve),
    )


def _bins(curve: ReliabilityCurve) -> tuple[ReliabilityBin, ...]:
    columns = (curve.edges[:-1], curve.edges[1:], curve.counts, curve.confidence, curve.frequency)
    return tuple(
        ReliabilityBin(
            float(lower),
            float(upper),
            int(count),
            float(confidence) if count else None,
            float(frequency) if count else None,
        )
        for lower, upper, count, confidence, frequency in zip(*columns, strict=True)
    )


def _thinned(curve: RiskCoverage) -> tuple[tuple[float, float], ...]:
    last = curve.risk.size - 1
    chosen = np.unique(np.linspace(0, last, min(MOST_POINTS, last + 1)).round().astype(np.int64))
    return tuple((float(curve.coverage[k]), float(curve.risk[k])) for k in chosen)


def _paired(probability: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    p = np.asarray(probability, dtype=np.float64).ravel()
    y = np.asarray(truth, dtype=np.float64).ravel()
    if p.size != y.size or not p.size:
        raise ValueError(f"expected as many probabilities as truths, got {p.size} and {y.size}")
    return p, y


def _logit(p: Floats) -> Floats:
    clipped = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(z: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * z))
