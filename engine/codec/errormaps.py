"""Calibrated error maps: what the decoder expects its error to be, with an interval that holds.

Three maps stand behind one interface. "closed_form" is the entropy model's expected squared error,
"dropout" the spread of Monte-Carlo decodings, "combined" a log-linear combination of both with the
fine detail of the decoded picture: what is left of it beyond the mean of 3 x 3 pixels. Each is
calibrated on held-out images (`fit_error_calibration`):

    ln rmse = c . (1, ln features, ln q)            per cell of 16 x 16 pixels, network's range
    half width = rmse x k(rmse)                     so that 90 % of pixel errors lie within

The features' weights come from differences within frames alone, which is what a map is to rank; the
level and the share of ln q from the means of frames.
k is an empirical quantile by bins of the expected error (split conformal prediction; Vovk,
Gammerman and Shafer, 2005): small errors after rounding are not distributed like large ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from engine.codec.decoding import Decoded, LatentPlanes
from engine.codec.network import STRIDE
from engine.codec.uncertainty import drawn_variances, learned_planes
from engine.errors import CalibrationError
from engine.frame import Frame, Mask, Pixels

MAPS = ("combined", "closed_form", "dropout")
COVERAGE = 0.9
BINS = 8
LEAST_ERROR = 0.02
"""In 1/255 of the range: below it logarithms say nothing."""
_COLUMNS = {
    "closed_form": (0, 1, 4),
    "dropout": (0, 2, 4),
    "combined": (0, 1, 2, 3, 4),
}
"""Columns of `_features` that a map is made of: 1, then what ranks within a frame, then ln q."""
DETAIL_SIDE = 3
LEAST_SLOPE = 0.01
"""Ridge on the features' weights, against features that say the same."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MapCalibration:
    """`coefficients` of the map's features; `edges` of ln rmse and the factor `k` in each bin."""

    coefficients: tuple[float, ...]
    edges: tuple[float, ...]
    factors: tuple[float, ...]

    def factor(self, log_rmse: Floats) -> Floats:
        """Half widths of the 90 % interval, in expected rmse."""
        return np.asarray(self.factors)[np.searchsorted(self.edges, log_rmse)]


@dataclass(frozen=True)
class ErrorCalibration:
    """The calibration of every map, and the one that ranked errors best: the default."""

    maps: Mapping[str, MapCalibration]
    best: str
    frames: int
    samples: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a model card."""
        return {
            "best": self.best,
            "frames": self.frames,
            "samples": self.samples,
            "coverage": COVERAGE,
            "maps": {
                name: {
                    "coefficients": list(one.coefficients),
                    "edges": list(one.edges),
                    "factors": list(one.factors),
                }
                for name, one in self.maps.items()
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ErrorCalibration:
        """Read what `as_dict` gave. Raises CalibrationError when it is something else."""
        try:
            maps = {
                name: MapCalibration(
                    tuple(one["coefficients"]), tuple(one["edges"]), tuple(one["factors"])
                )
                for name, one in stored["maps"].items()
            }
            return cls(maps, stored["best"], stored["frames"], stored["samples"])
        except (KeyError, TypeError, AttributeError) as error:
            raise CalibrationError(
                "these weights carry no calibration of their error maps: run "
                "`skysieve train codec --calibrate`"
            ) from error


@dataclass(frozen=True)
class ErrorMap:
    """`rmse` and `half_width` float32 (H, W), in the frame's unit; NaN where a tile was lost.

    90 % of the pixels of held-out images lie within `half_width` of the decoded value.
    """

    name: str
    rmse: Pixels = field(repr=False)
    half_width: Pixels = field(repr=False)

    def safe(self, below: float) -> Mask:
        """Where the 90 % bound on the error is below `below`, bool (H, W)."""
        return np.asarray(np.nan_to_num(self.half_width, nan=np.inf) < below)


@dataclass(frozen=True)
class _Cells:
    """Features (5, n) of every cell of every plane, and where the cells lie, (P, h, w)."""

    features: Floats
    shape: tuple[int, int, int]


def error_maps(
    decoded: Decoded,
    calibration: ErrorCalibration,
    rng: np.random.Generator,
    names: Sequence[str] = MAPS,
    variances: Floats | None = None,
) -> dict[str, ErrorMap]:
    """The calibrated maps of a decoded frame; planes are combined by the root mean square.

    `variances` are those of dropout passes that were made already; else `rng` draws them. Raises
    NotApplicable for a file that was not coded by the learned codec.
    """
    planes = learned_planes(decoded)
    if variances is None:
        variances = drawn_variances(decoded, calibration.samples, rng)
    cells = _features(planes, variances)
    slope = decoded.header.mapping.slope(planes.mapped)
    made = {}
    for name in names:
        one = calibration.maps[name]
        log_rmse = _expected(one, name, cells)
        rmse = np.exp(log_rmse)
        wide = rmse * one.factor(log_rmse)
        made[name] = ErrorMap(
            name,
            _in_unit(rmse.reshape(cells.shape), slope),
            _in_unit(wide.reshape(cells.shape), slope),
        )
    return made


def fit_error_calibration(
    pairs: Sequence[tuple[Frame, Decoded]], rng: np.random.Generator, samples: int = 8
) -> ErrorCalibration:
    """Fit all maps on held-out frames and their decodings; every frame counts alike.

    Raises CalibrationError on fewer than four frames.
    """
    if len(pairs) < 4:
        raise CalibrationError(f"an error calibration needs at least 4 frames, got {len(pairs)}")
    features, truths, errors = [], [], []
    for frame, decoded in pairs:
        planes = learned_planes(decoded)
        cells = _features(planes, drawn_variances(decoded, samples, rng))
        error = _error(frame, decoded, planes)
        squared = _cell_means(np.square(error), cells.shape)
        features.append(cells.features)
        truths.append(0.5 * np.log(np.maximum(squared.ravel(), LEAST_ERROR**2)))
        errors.append((error, cells.shape))
    maps, scores = {}, {}
    for name, columns in _COLUMNS.items():
        coefficients = _fitted([one[list(columns)] for one in features], truths)
        plain = MapCalibration(tuple(coefficients.tolist()), (), (1.0,))
        guesses = [_log_linear(plain, name, one) for one in features]
        left = [_spread_of(guess - truth) for guess, truth in zip(guesses, truths, strict=True)]
        scores[name] = float(np.mean(left))
        edges, factors = _factors(guesses, errors)
        maps[name] = MapCalibration(plain.coefficients, edges, factors)
    best = min(scores, key=scores.__getitem__)
    return ErrorCalibration(maps, best, len(pairs), samples)


def _features(planes: LatentPlanes, variances: Floats) -> _Cells:
    """1, ln closed form, ln dropout, ln detail and ln q, by cell."""
    shape = planes.log_q.shape
    mean = uniform_filter(planes.mapped, (0, DETAIL_SIDE, DETAIL_SIDE), mode="nearest")
    detail = _cell_means(np.square(planes.mapped - mean), shape)
    squares = [
        np.asarray(planes.expected_squared_error, np.float64),
        _cell_means(variances, shape),
        detail,
    ]
    logs = [0.5 * np.log(np.maximum(square, LEAST_ERROR**2)).ravel() for square in squares]
    ones = np.ones(logs[0].shape)
    return _Cells(np.stack([ones, *logs, planes.log_q.ravel().astype(np.float64)]), shape)


def _expected(one: MapCalibration, name: str, cells: _Cells) -> Floats:
    return _log_linear(one, name, cells.features)


def _log_linear(one: MapCalibration, name: str, features: Floats) -> Floats:
    return np.asarray(one.coefficients) @ features[list(_COLUMNS[name])]


def _fitted(designs: Sequence[Floats], truths: Sequence[Floats]) -> Floats:
    """Weights of the rows of each frame's design: slopes within frames, then level and ln q.

    The first row is 1, the last ln q, and the others are the features. Frames count alike.
    """
    within, apart, means = [], [], []
    for design, truth in zip(designs, truths, strict=True):
        usable = np.isfinite(design).all(axis=0) & np.isfinite(truth)
        rows, wanted = design[:, usable], truth[usable]
        if not wanted.size:
            continue
        root = np.sqrt(wanted.size)
        within.append((rows[1:-1] - rows[1:-1].mean(axis=1, keepdims=True)).T / root)
        apart.append((wanted - wanted.mean()) / root)
        means.append((*rows.mean(axis=1), wanted.mean()))
    count = len(designs[0]) - 2
    slopes = _least_squares(
        np.concatenate([*within, LEAST_SLOPE * np.eye(count)]),
        np.concatenate([*apart, np.zeros(count)]),
    )
    found = np.array(means)
    level = _least_squares(found[:, [0, -2]], found[:, -1] - found[:, 1:-2] @ slopes)
    return np.array([level[0], *slopes, level[1]])


def _least_squares(design: Floats, truth: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(design, truth, rcond=None)[0])


def _spread_of(residual: Floats) -> float:
    """Variance within a frame."""
    finite = residual[np.isfinite(residual)]
    return float(finite.var()) if finite.size else 0.0


def _factors(
    guesses: Sequence[Floats], errors: Sequence[tuple[Floats, tuple[int, int, int]]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Bins of ln rmse with the factor within which 90 % of pixel errors lie, frames alike."""
    ratios, places, weights = [], [], []
    for guess, (error, shape) in zip(guesses, errors, strict=True):
        spread = _spread(guess.reshape(shape), error.shape)
        good = np.isfinite(error) & np.isfinite(spread)
        ratios.append(np.abs(error[good]) / np.exp(spread[good]))
        places.append(spread[good])
        weights.append(np.full(places[-1].size, 1.0 / places[-1].size))
    place, ratio, weight = (np.concatenate(part) for part in (places, ratios, weights))
    edges = _quantile(place, weight, np.arange(1, BINS) / BINS)
    member = np.searchsorted(edges, place)
    factors = [
        float(_quantile(ratio[member == one], weight[member == one], np.array([COVERAGE]))[0])
        for one in range(BINS)
    ]
    return tuple(edges.tolist()), tuple(factors)


def _quantile(values: Floats, weight: Floats, shares: Floats) -> Floats:
    if not values.size:
        return np.full(shares.shape, np.sqrt(2.7055))
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    place = np.searchsorted(mass, shares * mass[-1]).clip(max=values.size - 1)
    return np.asarray(values[order][place])


def _error(frame: Frame, decoded: Decoded, planes: LatentPlanes) -> Floats:
    """Error of the decoded samples in the network's range, (P, H, W); NaN on bad pixels."""
    mapping = decoded.header.mapping
    slope = mapping.slope(planes.mapped)
    shape = planes.mapped.shape
    difference = (decoded.pixels - frame.filled()).reshape(shape).astype(np.float64) / slope
    unusable = frame.mask | ~decoded.valid
    if decoded.hits is not None:
        unusable = unusable | decoded.hits
    return np.where(unusable, np.nan, difference)


def _cell_means(squared: NDArray[np.floating], shape: tuple[int, ...]) -> Floats:
    """Mean over cells of 16 x 16 pixels, (P, h, w); pixels that are NaN do not count."""
    count, rows, columns = shape
    padding = [
        (0, 0),
        (0, rows * STRIDE - squared.shape[1]),
        (0, columns * STRIDE - squared.shape[2]),
    ]
    wide = np.pad(squared.astype(np.float64), padding, constant_values=np.nan)
    blocks = wide.reshape(count, rows, STRIDE, columns, STRIDE)
    known = np.isfinite(blocks).sum(axis=(2, 4))
    total = np.nansum(blocks, axis=(2, 4))
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _spread(cells: Floats, shape: tuple[int, ...]) -> Floats:
    wide = cells.repeat(STRIDE, axis=1).repeat(STRIDE, axis=2)
    return wide[:, : shape[1], : shape[2]]


def _in_unit(cells: Floats, slope: Floats) -> Pixels:
    spread = _spread(cells, slope.shape) * slope
    return np.asarray(np.sqrt(np.square(spread).mean(axis=0)), dtype=np.float32)
