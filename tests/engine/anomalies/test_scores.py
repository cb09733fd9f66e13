"""Every score against a hand-computed value or scikit-learn, its orientation and its storage."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from engine.anomalies.scores.base import FittedScorer, Standardiser
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy, energy_score
from engine.anomalies.scores.knn import NearestNeighbours
from engine.anomalies.scores.mahalanobis import Mahalanobis, unit_length
from engine.anomalies.scores.msp import MaximumSoftmax, msp_score
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.errors import CalibrationError, ModelError

RNG = np.random.default_rng(3)
MIXING = RNG.normal(size=(4, 12))
FIT = (4 + RNG.normal(size=(300, 4)) @ MIXING + 0.2 * RNG.normal(size=(300, 12))).astype(np.float32)
NEW = (4 + RNG.normal(size=(40, 4)) @ MIXING + 0.2 * RNG.normal(size=(40, 12))).astype(np.float32)
LABELS = [str(int(row[0] > 4) + int(row[1] > 4)) for row in FIT]


def fitted() -> list[FittedScorer]:
    head, _ = ClassHead.fit(FIT, LABELS)
    distances: list[FittedScorer] = [
        PcaReconstruction.fit(FIT),
        Mahalanobis.fit(FIT),
        NearestNeighbours.fit(FIT),
    ]
    return [*distances, MaximumSoftmax(head), Energy(head)]


def test_msp_by_hand() -> None:
    logits = np.array([[0.0, np.log(3.0)], [1.0, 1.0]])
    assert_allclose(msp_score(logits), [0.25, 0.5])


def test_energy_by_hand() -> None:
    logits = np.array([[0.0, 0.0], [np.log(2.0), np.log(6.0)]])
    assert_allclose(energy_score(logits), [-np.log(2), -np.log(8)])
    assert_allclose(energy_score(logits[:1], temperature=2.0), [-2 * np.log(2)])
    with pytest.raises(ValueError, match="temperature must be > 0"):
        energy_score(logits, temperature=0.0)


def test_confident_logits_are_less_anomalous_than_flat_ones() -> None:
    logits = np.array([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    for score in (msp_score(logits), energy_score(logits)):
        assert score[1] > score[0]


def test_mahalanobis_is_ledoit_wolf_on_unit_vectors() -> None:
    model = LedoitWolf().fit(unit_length(FIT))
    assert_allclose(Mahalanobis.fit(FIT).score(NEW), model.mahalanobis(unit_length(NEW)), rtol=1e-3)


def test_mahalanobis_with_fewer_rows_than_columns_is_still_ledoit_wolf() -> None:
    few = FIT[:9]
    model = LedoitWolf().fit(unit_length(few))
    expected = model.mahalanobis(unit_length(NEW))
    assert_allclose(Mahalanobis.fit(few).score(NEW), expected, rtol=1e-3)


def test_mahalanobis_ignores_the_length_of_raw_features() -> None:
    scorer = Mahalanobis.fit(FIT)
    assert_allclose(scorer.score(NEW), scorer.score(NEW * np.float32(3)), rtol=1e-5)


def test_pca_reconstruction_is_the_residual_of_scikit_learns_pca() -> None:
    scorer = PcaReconstruction.fit(FIT)
    scale = StandardScaler().fit(FIT)
    pca = PCA(len(scorer.components)).fit(scale.transform(FIT))
    z = scale.transform(NEW)
    expected = np.mean((z - pca.inverse_transform(pca.transform(z))) ** 2, axis=1)
    assert_allclose(scorer.score(NEW), expected, rtol=1e-3)
    assert pca.explained_variance_ratio_.sum() >= 0.95
    assert pca.explained_variance_ratio_[:-1].sum() < 0.95


def test_nearest_neighbours_is_scikit_learns_mean_distance() -> None:
    scale = StandardScaler().fit(FIT)
    distances, _ = (
        NearestNeighbors(n_neighbors=5).fit(scale.transform(FIT)).kneighbors(scale.transform(NEW))
    )
    assert_allclose(NearestNeighbours.fit(FIT).score(NEW), distances.mean(axis=1), rtol=1e-4)


def test_class_head_is_scikit_learns_regression() -> None:
    head, names = ClassHead.fit(FIT, LABELS)
    z = StandardScaler().fit(FIT)
    model = LogisticRegression(C=0.1, max_iter=500).fit(z.transform(FIT), LABELS)
    assert names == tuple(model.classes_)
    assert_allclose(head.probabilities(NEW), model.predict_proba(z.transform(NEW)), atol=1e-4)


def test_two_classes_give_two_logits() -> None:
    labels = ["a" if row[0] > 4 else "b" for row in FIT]
    head, names = ClassHead.fit(FIT, labels)
    assert names == ("a", "b")
    assert_allclose(head.probabilities(NEW).sum(axis=1), 1.0)
    right = head.probabilities(FIT).argmax(axis=1) == [names.index(name) for name in labels]
    assert right.mean() > 0.95


def test_one_class_is_no_classifier() -> None:
    with pytest.raises(CalibrationError, match="at least two classes"):
        ClassHead.fit(FIT, ["star"] * len(FIT))


@pytest.mark.parametrize("scorer", fitted()[:3], ids=lambda s: s.method)
def test_an_outlier_scores_above_every_normal(scorer: FittedScorer) -> None:
    odd = np.array([[30, -20, 4, 4, 30, 4, -9, 4, 4, 4, 4, 30]], dtype=np.float32)
    assert scorer.score(odd)[0] > scorer.score(NEW).max()


@pytest.mark.parametrize("scorer", fitted(), ids=lambda s: s.method)
def test_scores_do_not_depend_on_the_batch(scorer: FittedScorer) -> None:
    one_by_one = np.concatenate([scorer.score(NEW[i : i + 1]) for i in range(len(NEW))])
    assert_allclose(scorer.score(NEW), one_by_one, rtol=1e-9)


@pytest.mark.parametrize("scorer", fitted(), ids=lambda s: s.method)
def test_a_scorer_comes_back_from_its_tensors(scorer: FittedScorer) -> None:
    again = type(scorer).from_tensors(scorer.tensors())
    assert_allclose(again.score(NEW), scorer.score(NEW), rtol=0)


@pytest.mark.parametrize("fit", [PcaReconstruction.fit, Mahalanobis.fit, NearestNeighbours.fit])
def test_a_handful_of_rows_or_broken_ones_cannot_be_fitted(fit) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CalibrationError, match="at least 8 normal images"):
        fit(FIT[:7])
    broken = FIT.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ModelError, match="finite"):
        fit(broken)


def test_columns_that_never_vary_are_dropped() -> None:
    constant = FIT.copy()
    constant[:, 4] = 2.5
    standardiser = Standardiser.fit(constant)
    assert standardiser.apply(constant).shape == (300, 11)
    moved = constant[:5].copy()
    moved[:, 4] = 1e6
    assert_allclose(standardiser.apply(moved), standardiser.apply(constant[:5]))


def test_identical_images_are_no_reference() -> None:
    with pytest.raises(ModelError, match="the same"):
        Standardiser.fit(np.ones((20, 5), dtype=np.float32))
