"""Images that broke earlier attempts: all zero, full of NaN, or constant where others vary."""

from __future__ import annotations

import numpy as np

from engine.anomalies.cutouts import whole_image
from engine.anomalies.embedders import make_embedder
from engine.anomalies.preprocessing import embedder_input
from engine.anomalies.reference import Reference
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.frame import Frame, Origin

ORIGIN = Origin("test", "one")


def embedded(pixels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    cutout = whole_image(Frame.of(pixels, ORIGIN, mask=mask))
    return make_embedder("morphology").embed(embedder_input([cutout]))


def test_an_image_of_zeros_has_finite_features_and_a_finite_score(reference: Reference) -> None:
    assert np.isfinite(embedded(np.zeros((40, 40), np.uint8))).all()
    judged = reference.judge(np.zeros((1, 20), np.float32))
    for name, raw in judged.raw.items():
        assert np.isfinite(raw).all(), name
    assert 0 < judged.p_value[0] <= 1


def test_a_stamp_cut_at_the_edge_is_embedded_without_its_nan() -> None:
    stamp = np.random.default_rng(0).normal(100, 5, (3, 63, 63)).astype(np.float32)
    stamp[:, :, 50:] = np.nan
    stamp[2, 10] = np.nan
    assert np.isfinite(embedded(stamp)).all()


def test_features_that_are_zero_in_every_normal_are_left_out_of_z_scores() -> None:
    rng = np.random.default_rng(1)
    normal = rng.normal(5, 1, (60, 12)).astype(np.float32)
    normal[:, 3:6] = 0  # a zero background gives middle layers nothing to say
    new = rng.normal(5, 1, (4, 12)).astype(np.float32)
    new[:, 3:6] = 0
    for fit in (Mahalanobis.fit, NearestNeighbours.fit, PcaReconstruction.fit):
        assert np.isfinite(fit(normal).score(new)).all()
    noisy = new.copy()
    noisy[:, 3:6] = 1e-3
    plain, moved = (NearestNeighbours.fit(normal).score(rows) for rows in (new, noisy))
    np.testing.assert_allclose(plain, moved)
