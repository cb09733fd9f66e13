"""The anomaly benchmark's own promises: folds by source, nothing of a test fold in a fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.bench.anomalies.pictures import Task, balanced_parts
from jobs.bench.anomalies.ranking import Material, Recipe, choose, fold_scores, held_folds
from jobs.bench.anomalies.rates import nights, realised_rates
from jobs.bench.anomaly import kept_sections

RNG = np.random.default_rng(0)
KEYS = np.array([f"image-{row // 4}" for row in range(700)])
ODD = RNG.uniform(size=700) < 0.15


def material() -> Material:
    features = (5 + RNG.normal(size=(700, 24))).astype(np.float32)
    features[ODD] += RNG.normal(0, 3, size=(int(ODD.sum()), 24)).astype(np.float32)
    plain = RNG.uniform(size=(700, 30)).astype(np.float32)
    parts = {"deep": slice(0, 16), "morphology": slice(16, 24)}
    return Material(features, plain, ("normal",) * 700, parts, "synthetic")


def task(*, is_pool: bool = False) -> Task:
    return Task("t", "d", np.arange(700), ODD, KEYS, is_pool)


def test_parts_keep_a_source_together_and_spread_anomalies() -> None:
    parts = balanced_parts(KEYS, ODD, 7)
    assert all(len(set(parts[key == KEYS])) == 1 for key in set(KEYS))
    counts = [int(ODD[parts == part].sum()) for part in range(7)]
    assert max(counts) - min(counts) <= 4
    np.testing.assert_array_equal(parts, balanced_parts(KEYS, ODD, 7))


@pytest.mark.slow
def test_a_fold_is_scored_by_models_that_saw_none_of_its_sources_and_no_anomaly() -> None:
    scored = fold_scores(task(), material(), held_folds()[0])[0]
    parts = task().parts()
    assert len(scored.odd) == int((parts == held_folds()[0]).sum())
    held = len(scored.calibration["mahalanobis"])
    assert 0 < held < int((~ODD).sum())
    assert scored.auc("mahalanobis") > 0.85
    assert scored.auc("pixel_pca_baseline") < 0.75


@pytest.mark.slow
def test_the_recipe_is_the_best_of_what_it_was_shown() -> None:
    scored = fold_scores(task(), material(), held_folds()[1])
    recipe, means = choose({"t": scored})
    assert means[recipe.name] == max(means.values())
    assert Recipe(("mahalanobis", "knn"), "mean_rank").name in means


def test_realised_rates_are_kept_and_the_in_sample_rule_is_not() -> None:
    held_out, fitted = RNG.normal(size=2000), RNG.normal(-1, 1, size=300)
    figures = realised_rates(held_out, fitted, 1000, RNG)
    assert figures is not None
    assert figures["mean"] == pytest.approx(0.05, abs=0.01)
    assert figures["quantile_5"] < 0.05 < figures["quantile_95"]
    assert figures["in_sample_rule_mean"] > 0.15
    assert realised_rates(held_out[:100], fitted, 1000, RNG) is None


@pytest.mark.slow
def test_false_discoveries_are_kept_and_contamination_costs_power_only() -> None:
    figures = nights(RNG.normal(size=1200), RNG.normal(5, 1, size=200), 1000, RNG)
    assert figures is not None
    clean, spoiled = figures["clean"], figures["contaminated_10_percent"]
    for rate in (0.1, 0.2):
        assert clean[f"at_{rate:g}"]["false_discovery_rate"] <= rate + 0.02
        assert spoiled[f"at_{rate:g}"]["power"] < clean[f"at_{rate:g}"]["power"]
    assert clean["at_0.1"]["power"] > 0.5


def test_sections_that_are_not_measured_anew_stay_with_their_runs(tmp_path: Path) -> None:
    out = tmp_path / "anomaly.json"
    assert kept_sections(out, ["speed"]) == {}
    runs = {name: {"date": "d", "command": f"c {name}"} for name in ("ranking", "speed")}
    figures = {"embedder": "e", "ranking": {"a": 1}, "speed": {"b": 2}, "runs": runs}
    out.write_text(json.dumps({"figures": figures}))
    kept = kept_sections(out, ["speed", "probes"])
    assert kept == {"ranking": {"a": 1}, "runs": {"ranking": runs["ranking"]}}
    assert kept_sections(out, ["ranking", "speed"]) == {}
