"""Fitting, judging, storing and refusing references."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.anomalies.embedders.morphology import RADIAL_BINS, MorphologyEmbedder
from engine.anomalies.fitting import (
    OBJECT_RECIPES,
    RADIAL_PROFILE,
    SCENE_RECIPES,
    Normals,
    are_scenes,
    cross_scores,
    fit_both_halves,
    fit_reference,
    recipe_among,
)
from engine.anomalies.reference import Reference, half_of, source_family
from engine.anomalies.scores.mahalanobis import Mahalanobis
from engine.errors import CalibrationError, ModelError
from engine.split import split_of


def fresh(rows: int, seed: int = 99) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(3, 20))
    noise = 0.3 * rng.normal(size=(rows, 20))
    return (5 + rng.normal(size=(rows, 3)) @ mixing + noise).astype(np.float32)


def test_new_normals_get_uniform_p_values_and_outliers_small_ones(reference: Reference) -> None:
    judged = reference.judge(fresh(4000))
    assert np.mean(judged.p_value <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(judged.p_value <= 0.5) == pytest.approx(0.5, abs=0.08)
    odd = reference.judge(fresh(50) + 8 * np.random.default_rng(5).normal(size=20).astype("f4"))
    assert odd.p_value.max() < 0.01
    assert odd.statistic.min() > np.quantile(judged.statistic, 0.99)


def test_p_values_among_sources_of_like_area_hold_and_need_the_area(
    normals: Normals, reference: Reference
) -> None:
    held_out = normals.rows("calibrate", calibrate=0.3, test=0)
    assert reference.by_area is not None
    assert sum(part.size for part in reference.by_area.bins) == int(
        np.isfinite(normals.areas[held_out]).sum()  # type: ignore[index]
    )
    features = fresh(3000)
    areas = np.exp(3 + 0.5 * features[:, 0].astype(np.float64) / 5)
    areas[:5] = np.nan
    judged = reference.judge(features, areas=areas)
    p_values = judged.conditioned_p_value
    assert p_values is not None
    assert np.isnan(p_values[:5]).all()
    assert np.mean(p_values[5:] <= 0.1) == pytest.approx(0.1, abs=0.05)
    assert reference.judge(features[:3]).conditioned_p_value is None
    with pytest.raises(ModelError, match="one area per embedding"):
        reference.judge(features, areas=areas[:7])


def test_every_part_and_the_class_head_have_their_methods(reference: Reference) -> None:
    assert [method.name for method in reference.methods] == [
        "pca_reconstruction",
        "mahalanobis",
        "knn",
        "isolation_forest",
        "knn_morphology",
        "pca_reconstruction_morphology",
        "mahalanobis_morphology",
        "relative_mahalanobis",
        "vim",
        "msp",
        "energy",
        "entropy",
        "vote",
    ]
    assert reference.voters == ("mahalanobis", "knn_morphology")
    assert reference.class_names == ("spiral", "star")


def test_images_share_a_split_and_calibration_rows_were_not_fitted(
    normals: Normals, reference: Reference
) -> None:
    fit = normals.rows("fit", calibrate=0.3, test=0)
    held_out = normals.rows("calibrate", calibrate=0.3, test=0)
    assert not {normals.keys[row] for row in fit} & {normals.keys[row] for row in held_out}
    assert (reference.fitted_on, reference.calibrated_on) == (len(fit), len(held_out))
    assert {split_of(normals.keys[row], calibrate=0.3, test=0) for row in fit} == {"fit"}


def test_calibration_uses_held_out_rows_only(normals: Normals, reference: Reference) -> None:
    held_out = normals.rows("calibrate", calibrate=0.3, test=0)
    mahalanobis = next(m for m in reference.methods if m.name == "mahalanobis")
    expected = np.sort(mahalanobis.score(normals.features[held_out]))
    np.testing.assert_array_equal(reference.calibrations["mahalanobis"].scores, expected)


def test_contributions_are_shares_of_the_combination(reference: Reference) -> None:
    shares = reference.judge(fresh(20)).contributions
    assert tuple(shares) == reference.voters
    total = np.sum([shares[name] for name in reference.voters], axis=0)
    np.testing.assert_allclose(total, 1)
    one_sided = fresh(1)
    one_sided[:, 16:] += 30  # only the morphology part is odd
    assert reference.judge(one_sided).contributions["knn_morphology"][0] > 0.6


@pytest.mark.slow
def test_no_image_is_judged_by_a_model_that_was_fitted_on_it(normals: Normals) -> None:
    both = fit_both_halves("both", replace(normals, labels=None))
    assert both.partner is not None
    keys = list(normals.keys)
    judged = both.judge(normals.features, keys, normals.areas)
    known = np.isfinite(normals.areas)  # type: ignore[arg-type]
    p_values = np.asarray(judged.conditioned_p_value)[known]
    assert np.mean(p_values <= 0.05) == pytest.approx(0.05, abs=0.02)
    fitted = np.array([half_of(key) == "fit" for key in keys])
    for reference, rows in ((both, ~fitted), (both.partner, fitted)):
        assert not reference.calibration_keys & {k for k, f in zip(keys, ~rows, strict=True) if f}
        own = next(m for m in reference.methods if m.name == "mahalanobis")
        expected = own.score(normals.features[rows])
        np.testing.assert_array_equal(judged.raw["mahalanobis"][rows], expected)
    assert np.mean(judged.p_value <= 0.05) == pytest.approx(0.05, abs=0.02)
    in_sample = both.partner.judge(normals.features[~fitted]).raw["mahalanobis"]
    assert np.mean(in_sample) < np.mean(judged.raw["mahalanobis"][~fitted])


@pytest.mark.slow
def test_a_pair_comes_back_from_its_file(normals: Normals, tmp_path: Path) -> None:
    both = fit_both_halves("both", replace(normals, labels=None))
    both.save(tmp_path / "pair.safetensors")
    again = Reference.load(tmp_path / "pair.safetensors")
    keys = list(normals.keys[:60])
    before, after = (r.judge(normals.features[:60], keys) for r in (both, again))
    np.testing.assert_array_equal(before.p_value, after.p_value)
    np.testing.assert_array_equal(before.search_vectors, after.search_vectors)
    assert again.summary()["cross_fitted"]


def test_a_pool_is_scored_by_the_half_that_it_is_not_in(normals: Normals) -> None:
    with pytest.raises(ModelError, match="has no part for knn_zoom_morphology"):
        cross_scores(normals, ("mahalanobis", "knn_zoom_morphology"))
    raw = cross_scores(normals, ("mahalanobis", "knn_morphology"))
    assert list(raw) == ["mahalanobis", "knn_morphology"]
    fitted = np.array([half_of(key) == "fit" for key in normals.keys])
    by_hand = Mahalanobis.fit(normals.features[fitted, :16]).score(normals.features[~fitted, :16])
    np.testing.assert_array_equal(raw["mahalanobis"][~fitted], by_hand)
    assert (raw["knn_morphology"] > 0).all()


def test_objects_are_told_from_scenes_by_their_light_not_by_a_label() -> None:
    y, x = np.mgrid[:160, :160] - 80.0
    rng = np.random.default_rng(3)
    sizes = rng.uniform(8, 25, size=20)
    objects = np.stack([np.exp(-(x**2 + y**2) / (2 * size**2)) for size in sizes])
    scenes = np.stack([np.cumsum(rng.normal(size=(160, 160)), axis=i % 2) for i in range(20)])
    scenes = (scenes - scenes.min()) / np.ptp(scenes)
    found = []
    for images in (objects, scenes):
        planes = np.repeat(images[:, None], 3, axis=1).astype(np.float32)
        features = MorphologyEmbedder().embed(planes)
        parts = {"morphology": slice(0, features.shape[1])}
        normals = Normals(features, ["k"] * 20, parts, "morphology", ("x",))
        found.append(are_scenes(normals, np.arange(20)))
    assert found == [False, True]
    profile = MorphologyEmbedder().embed(planes)[:, RADIAL_PROFILE]
    assert profile.shape == (20, RADIAL_BINS)


def test_every_recipe_falls_back_where_parts_are_missing() -> None:
    assert recipe_among(["mahalanobis", "knn"], scenes=True)[0] == ("mahalanobis", "knn")
    everything = {name for names, _ in (*OBJECT_RECIPES, *SCENE_RECIPES) for name in names}
    assert recipe_among(tuple(everything), scenes=False) == OBJECT_RECIPES[0]
    assert recipe_among(tuple(everything), scenes=True) == SCENE_RECIPES[0]


def test_keys_must_be_one_per_embedding(reference: Reference) -> None:
    with pytest.raises(ModelError, match="one key per embedding"):
        reference.judge(fresh(3), ["a"])


def test_a_reference_comes_back_from_its_file(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "again.safetensors")
    again = Reference.load(tmp_path / "again.safetensors")
    areas = np.linspace(20, 60, 30)
    before, after = (r.judge(fresh(30), areas=areas) for r in (reference, again))
    np.testing.assert_array_equal(before.conditioned_p_value, after.conditioned_p_value)
    for name in before.raw:
        np.testing.assert_array_equal(before.raw[name], after.raw[name])
        np.testing.assert_array_equal(before.p_values[name], after.p_values[name])
    np.testing.assert_array_equal(before.p_value, after.p_value)
    np.testing.assert_array_equal(before.search_vectors, after.search_vectors)
    assert before.class_names == after.class_names
    assert again.summary() == reference.summary()


def test_judging_does_not_depend_on_the_batch(reference: Reference) -> None:
    features = fresh(12)
    alone = np.concatenate([reference.judge(row[None]).statistic for row in features])
    np.testing.assert_allclose(reference.judge(features).statistic, alone, rtol=1e-9)


def test_search_vectors_have_length_one(reference: Reference) -> None:
    vectors = reference.judge(fresh(7)).search_vectors
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "kind", "covered"),
    [
        ("sim:2026-03-01", "source", True),
        ("sim", "source", True),
        ("sim:2026-03-01", "image", False),
        ("ztf:today", "source", False),
        ("simulator", "source", False),
    ],
)
def test_only_its_own_domain_is_covered(
    reference: Reference, source: str, kind: str, covered: bool
) -> None:
    assert reference.covers(source, kind) is covered


@pytest.mark.slow
def test_a_folder_covers_itself_and_not_every_folder(normals: Normals) -> None:
    fitted = fit_reference("mine", replace(normals, domain=("folder:/a",)))
    assert fitted.covers("folder:/a", "source")
    assert not fitted.covers("folder:/b", "source")
    assert source_family("folder:/a") == "folder"


def test_one_part_votes_with_distance_and_neighbours(normals: Normals) -> None:
    alone = replace(
        normals, features=normals.features[:, :16], parts={"deep": slice(0, 16)}, labels=None
    )
    fitted = fit_reference("deep", alone)
    assert fitted.voters == ("mahalanobis", "knn")
    assert fitted.judge(fresh(3)[:, :16]).class_names is None


def test_too_few_images_are_refused(normals: Normals) -> None:
    few = replace(normals, features=normals.features[:40], keys=normals.keys[:40], labels=None)
    with pytest.raises(CalibrationError, match="at least 19 held-out scores"):
        fit_reference("few", few)


def test_embeddings_that_do_not_fit_are_refused(reference: Reference) -> None:
    with pytest.raises(ModelError, match=r"needs embeddings \(N, 20\) of tiny"):
        reference.judge(np.zeros((2, 7), np.float32))
    with pytest.raises(ModelError, match="must be finite"):
        reference.judge(np.full((2, 20), np.nan, np.float32))


def rewrite(path: Path, metadata: dict[str, str]) -> None:
    save_file(load_file(path), path, metadata=metadata)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no reference at"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "is damaged"),
        (lambda path: rewrite(path, {"format": "other"}), "not an anomaly reference"),
    ],
)
def test_broken_files_are_named(
    reference: Reference, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "broken.safetensors"
    reference.save(path)
    damage(path)
    with pytest.raises(ModelError, match=message):
        Reference.load(path)


def test_a_reference_of_another_preprocessing_is_refused(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.safetensors"
    reference.save(path)
    monkeypatch.setattr("engine.anomalies.storage.preprocessing_text", lambda side: "new")
    with pytest.raises(ModelError, match="another preprocessing: fit it again"):
        Reference.load(path)
