"""Artefacts: how they look, what they are called, and a head that knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.artefacts.features import NAMES, feature_table
from engine.anomalies.artefacts.head import (
    HEAD_NAME,
    REAL,
    ArtefactHead,
    exported,
    fit_boosted,
    fit_head,
)
from engine.anomalies.artefacts.nights import (
    ARTEFACT,
    FlawLight,
    Named,
    artefact_night,
    name_detection,
)
from engine.anomalies.artefacts.training import choose_threshold, fold_metrics
from engine.anomalies.cutouts import Cutout, cutouts_of
from engine.anomalies.evidence import why_artefact
from engine.anomalies.policy import AnomalyPolicy
from engine.cards import ModelCard, file_digest, write_card
from engine.errors import CalibrationError, ModelError
from engine.frame import Frame, Origin
from engine.sky import ARTEFACT_KINDS, FieldConditions, SkyObject, Truth, simulate_field
from engine.sky.artefacts import artefact_light

SIDE = 96
QUIET = FieldConditions(size=SIDE, n_stars=0, n_galaxies=0, cosmic_ray_rate=0)


def rows(count: int, shift: float, seed: int) -> np.ndarray:
    table = np.random.default_rng(seed).normal(size=(count, len(NAMES)))
    table[:, 3:13] += shift
    return table


@pytest.fixture(scope="module")
def head() -> ArtefactHead:
    table = np.concatenate([rows(60, 0, 0), rows(40, 6, 1), rows(40, -6, 2)])
    codes = np.repeat([0, 1], [60, 80])
    flawed = fit_boosted(table, codes, seed=0, trees=20)
    kind = fit_boosted(table[60:], np.repeat([1, 0], 40), seed=0, trees=10)
    return ArtefactHead(("ghost", "trail"), flawed, kind, 0.5, ("sim",))


@pytest.mark.parametrize("kind", ARTEFACT_KINDS)
def test_every_kind_of_artefact_leaves_light_and_is_in_the_truth(kind: str) -> None:
    conditions = replace(QUIET, **{f"n_{kind}s": 1})
    field = simulate_field(np.random.default_rng(3), conditions)
    (flaw,) = field.truth.objects
    assert flaw.kind == kind
    assert np.isfinite(field.pixels).all()
    assert np.abs(artefact_light(flaw, (SIDE, SIDE))).max() > conditions.noise_e
    assert field.truth.artefacts.sum() >= 8


def test_a_ghost_is_a_ring_with_a_hole() -> None:
    shape = {"radius_px": 20.0, "hole_px": 8.0, "level_e": 50.0, "tilt": 0.0, "angle": 0.0,
             "vane_px": 0.0}  # fmt: skip
    light = artefact_light(SkyObject("ghost", 48, 48, 20, 1, parameters=shape), (SIDE, SIDE))
    assert light[48, 48] == 0
    assert light[48, 62] == 50
    assert light[48, 75] == 0


def test_a_block_keeps_to_its_square() -> None:
    conditions = replace(QUIET, n_blocks=1)
    (flaw,) = simulate_field(np.random.default_rng(5), conditions).truth.objects
    light = artefact_light(flaw, (SIDE, SIDE))
    lit = np.argwhere(light != 0)
    assert (lit.max(axis=0) - lit.min(axis=0) < flaw.size_px).all()
    assert light.min() < 0 or light.max() > 0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no artefact of kind 'fog'"):
        artefact_light(SkyObject("fog", 1, 1, 1, 1), (8, 8))


def test_nights_of_one_seed_are_the_same_and_of_another_are_not() -> None:
    digests = [
        [made.frame.digest for made in artefact_night(2, seed, size=64)] for seed in (1, 1, 1000)
    ]
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])


def footprint(x: float, y: float) -> Cutout:
    own = np.zeros((24, 24), np.bool_)
    own[8:16, 8:16] = True
    pixels = np.zeros((24, 24), np.float32)
    return Cutout("source", x, y, 24, pixels, 0, 1, 1, stretched=False, footprint=own)


def truth(*objects: SkyObject, hits: np.ndarray | None = None) -> Truth:
    nothing = np.zeros((SIDE, SIDE), np.bool_)
    spoiled = nothing.copy()
    for thing in objects:
        if thing.kind in ARTEFACT_KINDS:
            spoiled |= np.abs(artefact_light(thing, spoiled.shape)) > 5
    return Truth(nothing if hits is None else hits, spoiled, objects, 10.0)


TRAIL = SkyObject("trail", 40, 40, 6, 1,
                  parameters={"angle": 0.0, "level_e": 100.0, "sigma_px": 3.0})  # fmt: skip
RING = SkyObject("ring", 40, 40, 6, 9e4, is_anomaly=True)
STAR = SkyObject("star", 40, 40, 3, 9e5)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ((TRAIL,), Named(ARTEFACT, "trail")),
        ((TRAIL, RING), Named("anomaly", "ring")),
        ((TRAIL, STAR), Named("unclear", "")),
        ((STAR,), Named("normal", "star")),
        ((replace(STAR, x=-2.0),), Named("unclear", "")),
        ((), Named("unclear", "")),
    ],
)
def test_a_detection_is_named_by_what_owns_its_pixels(
    objects: tuple[SkyObject, ...], expected: Named
) -> None:
    assert name_detection(footprint(40, 40), FlawLight.of(truth(*objects))) == expected


def test_hits_and_objects_beyond_the_edge_are_artefacts() -> None:
    hits = np.zeros((SIDE, SIDE), np.bool_)
    hits[34:46, 34:46] = True
    assert name_detection(footprint(40, 40), FlawLight.of(truth(hits=hits))).kind == "residual_hit"
    beyond = replace(STAR, x=-2.0)
    assert name_detection(footprint(1, 40), FlawLight.of(truth(beyond))).kind == "edge"


def test_features_are_finite_and_know_a_line_from_a_star() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = 100 + rng.normal(0, 5, (SIDE, SIDE))
    pixels += 900 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 8)
    pixels += np.where(x == 70, 300, 0)
    frame = Frame.of(pixels.astype(np.float32), Origin("sim:x", "x"))
    cutouts = cutouts_of(frame)
    table = feature_table(frame, frame.pixels, frame.pixels, cutouts, None)
    assert table.shape == (len(cutouts), len(NAMES))
    assert np.isfinite(table).all()
    star = next(row for row, cut in enumerate(cutouts) if abs(cut.x - 30) < 2)
    line = next(row for row, cut in enumerate(cutouts) if abs(cut.x - 70) < 2)
    for name in ("elongation", "column_middle", "line_low"):
        assert table[line, NAMES.index(name)] > table[star, NAMES.index(name)] + 1
    assert table[line, NAMES.index("upright")] > 0.9


def test_whole_images_have_no_artefact_features() -> None:
    frame = Frame.of(np.ones((32, 32), np.uint8), Origin("sim:x", "x"))
    with pytest.raises(ValueError, match="got a whole image"):
        feature_table(frame, frame.pixels, frame.pixels, cutouts_of(frame), None)


def test_exported_trees_give_what_sklearn_gives() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    table, codes = np.concatenate([rows(40, 0, 3), rows(40, 5, 4)]), np.repeat([0, 1], 40)
    for labels in (codes, np.repeat([0, 1, 2, 0], 20)):
        model = GradientBoostingClassifier(n_estimators=7, random_state=0)
        model.fit(table.astype(np.float32), labels)
        boosted = exported(model, int(labels.max()) + 1, table)
        expected = model.predict_proba(table.astype(np.float32))
        np.testing.assert_allclose(boosted.probabilities(table), expected, atol=1e-5)


@pytest.mark.slow
def test_a_fitted_head_tells_artefacts_and_their_kinds_from_the_rest() -> None:
    table = np.concatenate([rows(80, 0, 0), rows(60, 6, 1), rows(60, -6, 2)])
    fitted = fit_head(table, [REAL] * 80 + ["trail"] * 60 + ["ghost"] * 60, seed=0, domain=("sim",))
    assert fitted.kinds == ("ghost", "trail")
    probability, kinds = fitted.judge(np.concatenate([rows(9, 0, 7), rows(9, 6, 8)]))
    assert (probability[:9] < 0.5).all()
    assert (probability[9:] > 0.5).all()
    assert kinds[9:] == ("trail",) * 9


def test_the_head_knows_its_kinds_and_decides_for_its_own_domain(head: ArtefactHead) -> None:
    probability, kinds = head.judge(np.concatenate([rows(5, 0, 7), rows(5, 6, 8), rows(5, -6, 9)]))
    assert (probability[:5] < 0.5).all()
    assert (probability[5:] > 0.5).all()
    assert kinds[5:] == ("trail",) * 5 + ("ghost",) * 5
    assert head.decides("sim:2026-03-01")
    assert not head.decides("folder:/images")


def test_a_saved_head_gives_equal_answers(head: ArtefactHead, tmp_path: Path) -> None:
    path = tmp_path / f"{HEAD_NAME}.safetensors"
    head.save(path)
    card = ModelCard(HEAD_NAME, "anomaly", file_digest(path), "", {}, "", 0, "", "CPU", "")
    write_card(tmp_path, card)
    again = ArtefactHead.load(tmp_path)
    table = rows(9, 2, 11)
    np.testing.assert_array_equal(again.judge(table)[0], head.judge(table)[0])
    assert again.judge(table)[1] == head.judge(table)[1]
    assert (again.threshold, again.domain, again.digest) == (0.5, ("sim",), card.digest)


def test_a_head_without_artefacts_cannot_be_fitted_and_other_features_are_refused(
    head: ArtefactHead,
) -> None:
    with pytest.raises(CalibrationError, match="needs real detections and two kinds of artefact"):
        fit_head(rows(9, 0, 0), [REAL] * 9, seed=0, domain=("sim",))
    with pytest.raises(ModelError, match="artefact features must be"):
        head.judge(np.zeros((2, 3)))


def test_the_threshold_spares_all_but_the_stated_share() -> None:
    probability = np.concatenate([np.linspace(0, 0.9, 1000), np.linspace(0.2, 1, 500)])
    status = np.repeat(["anomaly", "artefact"], [1000, 500])
    threshold = choose_threshold(probability, status)
    assert (probability[:1000] > threshold).sum() == 9
    assert choose_threshold(np.array([0.1, 0.9]), np.array(["anomaly", "artefact"])) == 0.5
    figures = fold_metrics(probability, status, status, threshold)
    assert figures["kept_apart"]["anomaly"] == pytest.approx(0.009)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vanishes": True}, "gone once cosmic rays are removed"),
        ({"cosmic_ray_share": 0.9}, "90% of its flux"),
        ({"is_line": True}, "a straight line"),
    ],
)
def test_why_a_detection_is_an_artefact(change: dict[str, object], reason: str) -> None:
    cutout = replace(footprint(40, 40), **change)
    assert reason in (why_artefact(AnomalyPolicy(), cutout) or "")


def test_the_head_speaks_only_where_it_decides() -> None:
    cutout, policy = footprint(40, 40), AnomalyPolicy()
    told = {"probability": 0.99, "kind": "hot_column"}
    assert why_artefact(policy, cutout, **told) is None
    assert "looks like a hot column" in (why_artefact(policy, cutout, **told, threshold=0.9) or "")
    assert why_artefact(policy, cutout, **told, threshold=0.995) is None
