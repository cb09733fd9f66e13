"""Scores over classes, subspaces and trees: by hand, against scikit-learn, and orientation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest as Forest

from engine.anomalies.scores.base import FittedScorer
from engine.anomalies.scores.class_head import ClassHead
from engine.anomalies.scores.energy import Energy
from engine.anomalies.scores.entropy import ClassEntropy, entropy_score
from engine.anomalies.scores.gaussian import unit_length
from engine.anomalies.scores.isolation_forest import IsolationForest, mean_depth
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.anomalies.scores.msp import MaximumSoftmax
from engine.anomalies.scores.pca_reconstruction import PcaReconstruction
from engine.anomalies.scores.relative_mahalanobis import RelativeMahalanobis
from engine.anomalies.scores.vim import VirtualLogit
from engine.anomalies.scores.vote import Vote
from engine.errors import CalibrationError

RNG = np.random.default_rng(11)
CENTRES = 6 + 2 * RNG.normal(size=(3, 10))
CLASSES = RNG.integers(3, size=360)
ROWS = (CENTRES[CLASSES] + 0.5 * RNG.normal(size=(360, 10))).astype(np.float32)
FIT, NEW = ROWS[:300], ROWS[300:]
LABELS = [str(number) for number in CLASSES[:300]]
ODD = np.full((1, 10), 6, np.float32) + np.float32(9) * (np.arange(10) % 2).astype(np.float32)


def scorers() -> list[FittedScorer]:
    head, _ = ClassHead.fit(FIT[:200], LABELS[:200])
    msp, energy, distance = MaximumSoftmax(head), Energy(head), Mahalanobis.fit(FIT[:200])
    return [
        RelativeMahalanobis.fit(FIT, LABELS),
        VirtualLogit.fit(FIT, head),
        IsolationForest.fit(FIT),
        ClassEntropy(head),
        Vote.fit(msp, energy, distance, FIT[200:]),
    ]


SCORERS = scorers()


def test_entropy_by_hand() -> None:
    logits = np.array([[0.0, 0.0], [np.log(3.0), 0.0], [800.0, 0.0]])
    expected = [np.log(2), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), 0.0]
    assert_allclose(entropy_score(logits), expected, atol=1e-12)


def test_relative_mahalanobis_is_the_difference_of_two_ledoit_wolf_distances() -> None:
    units, new = unit_length(FIT), unit_length(NEW)
    of_class = CLASSES[:300]
    means = np.stack([units[of_class == k].mean(axis=0) for k in range(3)])
    within = LedoitWolf(assume_centered=True).fit(units - means[of_class])
    overall = LedoitWolf().fit(units)
    near = np.min([within.mahalanobis(new - mean) for mean in means], axis=0)
    expected = near - overall.mahalanobis(new)
    got = RelativeMahalanobis.fit(FIT, LABELS).score(NEW)
    assert_allclose(got, expected, rtol=2e-3, atol=2e-3)


def test_vim_by_its_definition() -> None:
    head, _ = ClassHead.fit(FIT, LABELS)
    scorer = VirtualLogit.fit(FIT, head)
    z, new = head.standardiser.apply(FIT), head.standardiser.apply(NEW)
    weight, bias = head.weight.astype(np.float64), head.bias.astype(np.float64)
    origin = -np.linalg.pinv(weight) @ bias
    assert_allclose(weight @ origin + bias, (weight @ origin + bias).mean(), atol=1e-5)
    _, vectors = np.linalg.eigh((z - origin).T @ (z - origin))
    null = vectors[:, ::-1][:, len(scorer.components) :]
    norm, new_norm = (np.linalg.norm((a - origin) @ null, axis=1) for a in (z, new))
    alpha = head.logits(FIT).max(axis=1).sum() / norm.sum()
    expected = alpha * new_norm - logsumexp(head.logits(NEW), axis=1)
    assert_allclose(scorer.score(NEW), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_isolation_forest_is_scikit_learns() -> None:
    scorer = IsolationForest.fit(FIT)
    scale = FIT.std(axis=0, dtype=np.float64)
    z = (FIT - FIT.mean(axis=0, dtype=np.float64)) / scale
    new = (NEW - FIT.mean(axis=0, dtype=np.float64)) / scale
    turned = scorer.directions.T.astype(np.float64)
    assert_allclose(np.abs(PCA(10).fit(z).components_), np.abs(scorer.directions), atol=1e-3)
    forest = Forest(n_estimators=100, max_samples=256, random_state=0)
    forest.fit((z @ turned).astype(np.float32))
    expected = -forest.score_samples((new @ turned).astype(np.float32))
    assert_allclose(scorer.score(NEW), expected, atol=2e-3)


def test_mean_depth_by_hand() -> None:
    euler = 0.5772156649015329
    expected = [0.0, 1.0, 2 * (np.log(9) + euler) - 1.8]
    assert_allclose(mean_depth(np.array([1, 2, 10])), expected)


def test_the_vote_counts_methods_above_their_held_out_threshold() -> None:
    head, _ = ClassHead.fit(FIT[:200], LABELS[:200])
    members = (MaximumSoftmax(head), Energy(head), Mahalanobis.fit(FIT[:200]))
    vote = Vote.fit(*members, FIT[200:])
    rank = int(np.ceil(0.95 * 101))
    for member, threshold in zip(members, vote.thresholds, strict=True):
        assert threshold == np.float32(np.sort(member.score(FIT[200:]))[rank - 1])
    by_hand = np.sum(
        [m.score(NEW).astype("f4") > t for m, t in zip(members, vote.thresholds, strict=True)], 0
    )
    assert_allclose(vote.score(NEW), by_hand)
    assert np.mean(vote.score(NEW) > 0) < 0.25


def test_a_vote_without_enough_held_out_rows_never_fires() -> None:
    head, _ = ClassHead.fit(FIT, LABELS)
    vote = Vote.fit(MaximumSoftmax(head), Energy(head), Mahalanobis.fit(FIT), FIT[:18])
    assert vote.score(ODD)[0] == 0


@pytest.mark.parametrize("scorer", SCORERS[1:3], ids=lambda s: s.method)
def test_an_outlier_scores_at_least_as_high_as_every_normal(scorer: FittedScorer) -> None:
    far = ODD + np.float32(20) * (np.arange(10) % 3 == 0).astype(np.float32)
    normal = scorer.score(NEW)
    assert scorer.score(far)[0] >= np.quantile(normal, 0.99)
    assert scorer.score(far)[0] > np.median(normal)


def test_an_outlier_can_look_like_a_confident_class_and_win_one_vote_of_three() -> None:
    far = ODD + np.float32(20) * (np.arange(10) % 3 == 0).astype(np.float32)
    assert SCORERS[4].score(far)[0] == 1  # the distance; confidence and energy see nothing


def test_what_lies_between_classes_is_odd_to_a_relative_distance() -> None:
    between = CENTRES.mean(axis=0, keepdims=True).astype(np.float32)
    scorer = RelativeMahalanobis.fit(FIT, LABELS)
    assert scorer.score(between)[0] > np.quantile(scorer.score(NEW), 0.95)


def test_a_point_between_classes_has_more_entropy() -> None:
    head, _ = ClassHead.fit(FIT, LABELS)
    between = CENTRES.mean(axis=0, keepdims=True).astype(np.float32)
    assert ClassEntropy(head).score(between)[0] > np.median(ClassEntropy(head).score(NEW))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.method)
def test_scores_do_not_depend_on_the_batch(scorer: FittedScorer) -> None:
    one_by_one = np.concatenate([scorer.score(NEW[i : i + 1]) for i in range(12)])
    assert_allclose(scorer.score(NEW)[:12], one_by_one, rtol=1e-9)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.method)
def test_a_scorer_comes_back_from_its_tensors(scorer: FittedScorer) -> None:
    again = type(scorer).from_tensors(scorer.tensors())
    assert_allclose(again.score(NEW), scorer.score(NEW), rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("fit", [PcaReconstruction.fit, IsolationForest.fit])
def test_scores_of_z_scores_ignore_shift_and_scale_of_columns(fit) -> None:  # type: ignore[no-untyped-def]
    scale = np.array([0.5, 2, 4, 8, 1, 0.25, 2, 1, 16, 0.5], np.float32)
    shift = np.arange(10, dtype=np.float32)
    plain, moved = fit(FIT).score(NEW), fit(FIT * scale + shift).score(NEW * scale + shift)
    assert_allclose(moved, plain, rtol=0.02, atol=0.02 * np.ptp(plain))


def test_relative_distance_needs_two_classes() -> None:
    with pytest.raises(CalibrationError, match="at least two classes"):
        RelativeMahalanobis.fit(FIT, ["one"] * len(FIT))


def test_normalising_z_scores_destroys_what_raw_features_say() -> None:
    """A known trap: of what is odd by its size alone the direction of a z-score says little."""
    rng = np.random.default_rng(5)
    strength = rng.lognormal(0, 0.1, size=(600, 1))
    shape = np.array([[5, 4, 3, 2, 1, 0.5, 0.2, 0.1]])
    normal = (strength * shape + 0.02 * rng.normal(size=(600, 8))).astype(np.float32)
    odd = normal[:100] + np.float32([0, 0, 0, 0, 0, 0, 0, 0.4])
    fit, rest = normal[100:400], normal[400:]

    def gap(prepare) -> float:  # type: ignore[no-untyped-def]
        scorer = Mahalanobis.fit(prepare(fit))
        normal_scores, odd_scores = scorer.score(prepare(rest)), scorer.score(prepare(odd))
        return float(np.mean(odd_scores[:, None] > normal_scores[None]))

    mean, scale = fit.mean(axis=0), fit.std(axis=0)
    assert gap(lambda rows: rows) > 0.99
    assert gap(lambda rows: ((rows - mean) / scale).astype(np.float32)) < gap(lambda rows: rows)
