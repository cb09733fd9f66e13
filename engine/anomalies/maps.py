"""Search vectors laid out on a plane, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError

METHODS = ("pca", "tsne")
FEWEST = 4
FIRST_DIMENSIONS = 50
PERPLEXITY = 30.0


@dataclass(frozen=True)
class PlaneMap:
    """Points float64 (N, 2); `explained` is the share of variance that the axes keep (PCA)."""

    points: NDArray[np.float64]
    explained: float | None


def lay_out(vectors: NDArray[np.float32], method: str, *, seed: int = 0) -> PlaneMap:
    """Lay search vectors float32 (N, D) out on a plane, by direction (they are scaled to length 1).

    "pca": the two leading principal directions (Hotelling 1933), signs fixed so that the largest
    loading is positive. "tsne": Barnes-Hut t-SNE (van der Maaten 2014, JMLR 15) of the leading 50
    principal components, begun from the first two, perplexity 30 or a third of the rows where those
    are few; near points are alike, while distances between far groups and their sizes mean nothing.
    The same vectors and seed give the same points. Raises ModelError for fewer than 4 rows, rows
    that are not finite, or another method.
    """
    if method not in METHODS:
        raise ModelError(f"no method {method!r} of mapping: choose one of {', '.join(METHODS)}")
    if vectors.ndim != 2 or len(vectors) < FEWEST or not np.isfinite(vectors).all():
        raise ModelError(
            f"a map needs finite rows (N, D), at least {FEWEST}, got shape {vectors.shape}"
        )
    length = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float64)
    units = vectors / np.where(length > 0, length, 1.0)
    components, explained = _principal(units)
    if method == "pca":
        return PlaneMap(components[:, :2], explained)
    return PlaneMap(_tsne(components[:, :FIRST_DIMENSIONS], seed), None)


def _principal(units: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Principal components (N, min(N, D) or 2) and the share of variance in the first two."""
    centred = units - units.mean(axis=0)
    variance, directions = np.linalg.eigh(centred.T @ centred)
    variance, directions = np.clip(variance[::-1], 0, None), directions[:, ::-1]
    columns = np.arange(directions.shape[1])
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), columns])
    components = centred @ (directions * np.where(signs == 0, 1, signs))
    if components.shape[1] < 2:
        components = np.pad(components, ((0, 0), (0, 2 - components.shape[1])))
    total = float(variance.sum())
    return components, float(variance[:2].sum() / total) if total > 0 else 1.0


def _tsne(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    begun = components[:, :2]
    spread = float(begun[:, 0].std())
    model = TSNE(
        n_components=2,
        perplexity=min(PERPLEXITY, (len(components) - 1) / 3),
        init=np.asarray(begun / (spread if spread > 0 else 1.0) * 1e-4, dtype=np.float32),
        learning_rate="auto",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(model.fit_transform(components.astype(np.float32)), dtype=np.float64)
