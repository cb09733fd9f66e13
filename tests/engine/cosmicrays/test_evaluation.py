"""Judging detectors: hold-outs that repeat, figures by hand, temperatures that must help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.cards import WEIGHTS, read_card
from engine.cosmicrays import publishing
from engine.cosmicrays.evaluation import Judged, calibration_figures, judge, recall_figures
from engine.cosmicrays.holdouts import (
    LabelledFrame,
    calibration_frames,
    simulated_holdout,
    stis_pair,
)
from engine.cosmicrays.making import halves
from engine.cosmicrays.publishing import NO_STIS, Training, publish
from engine.cosmicrays.recipes import RECIPES, STUDY
from engine.cosmicrays.restoration import fill_errors, linear_fill
from engine.cosmicrays.tempering import choose_temperature
from engine.cosmicrays.unet import UNet2Sigmoid
from engine.cosmicrays.variational import UNet2SigmoidVI
from engine.cosmicrays.weights import load_members, load_net
from engine.errors import UnreadableFile
from engine.frame import Pixels
from engine.metrics.calibration import tempered


def small_holdout(_data: Path | None = None) -> Iterator[LabelledFrame]:
    return simulated_holdout(None, frames=2, size=64)


def oracle(frame: LabelledFrame) -> Pixels:
    return frame.truth.astype(np.float32)


def test_the_holdout_is_always_the_same() -> None:
    first, again = list(small_holdout()), list(small_holdout())
    assert [frame.name for frame in first] == ["holdout-cr-0000", "holdout-cr-0001"]
    for left, right in zip(first, again, strict=True):
        assert np.array_equal(left.pixels, right.pixels)
        assert np.array_equal(left.truth, right.truth)
    assert not np.array_equal(first[0].pixels, first[1].pixels)


def test_holdout_hits_are_never_ignored() -> None:
    for frame in small_holdout():
        assert frame.truth.any()
        assert not (frame.truth & frame.ignore).any()
        assert (frame.pixels[frame.truth] > frame.clean[frame.truth]).mean() > 0.95


def test_an_oracle_gets_full_marks() -> None:
    judged = judge(oracle, list(small_holdout()))
    recall, calibration = recall_figures(judged), calibration_figures(judged)
    assert recall["tpr_at_fpr_0.0001"] == 1
    assert recall["tpr_at_fpr_0.0001_spread"] == 0
    assert calibration["brier"] == calibration["ece_equal_width"] == calibration["aurc"] == 0


def test_figures_by_hand() -> None:
    probability = (np.float32([0.9, 0.2, 0.005]), np.float32([0.6, 0.7, 0.0]))
    truth = (np.array([True, False, False]), np.array([True, False, False]))
    judged = Judged("by hand", probability, truth)
    recall, calibration = recall_figures(judged), calibration_figures(judged)
    assert recall["tpr_at_fpr_0.01"] == 0.5
    assert recall["tpr_at_fpr_0.01_spread"] == 0.5
    expected = (0.01 + 0.04 + 0.005**2 + 0.16 + 0.49) / 6
    assert calibration["brier"] == pytest.approx(expected, rel=1e-6)
    assert calibration["pixels"] == 6
    assert calibration["positives"] == 2


def sampled(name: str, temperature: float, seed: int) -> Judged:
    """Probabilities that are calibrated after division of their logits by `temperature`."""
    rng = np.random.default_rng(seed)
    calibrated = rng.beta(0.3, 2, 20_000)
    truth = rng.random(calibrated.size) < calibrated
    return Judged(name, (tempered(calibrated, 1 / temperature).astype(np.float32),), (truth,))


def test_a_temperature_that_helps_elsewhere_is_kept() -> None:
    choice = choose_temperature([sampled("a", 2.0, 0), sampled("b", 1.8, 1)])
    assert choice.temperature == pytest.approx(1.9, rel=0.06)
    assert all(gain < 0 for gain in choice.gains.values())
    assert "held out" in choice.reason


def test_a_temperature_that_hurts_elsewhere_is_not() -> None:
    choice = choose_temperature([sampled("a", 2.0, 0), sampled("b", 0.5, 1)])
    assert choice.temperature == 1.0
    assert choice.fitted["a"] == pytest.approx(2.0, rel=0.06)
    assert "identity" in choice.reason


def test_one_set_is_not_enough_for_a_temperature() -> None:
    with pytest.raises(ValueError, match="give two"):
        choose_temperature([sampled("a", 2.0, 0)])


def test_a_model_is_written_with_its_card(
    tmp_path: Path, bayesian_net: UNet2SigmoidVI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "simulated_holdout", small_holdout)
    training = Training(
        name="tiny",
        data="none.",
        seed=3,
        steps=1,
        command="skysieve train cosmicrays",
        device="CPU",
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    written = publish(bayesian_net, training, tmp_path, None)
    card = read_card("tiny", tmp_path)
    assert card.digest == written.digest
    assert card.architecture["bayesian"] is True
    assert card.calibration["temperature"] == 1.0
    (report,) = card.calibration["reports"]
    assert report["dataset"] == "holdout-cr"
    assert report["brier"] == card.metrics["holdout-cr"]["brier"]
    assert sum(one["count"] for one in report["reliability"]) == report["n"]
    assert 0 < len(report["risk_coverage"]) <= 100


SHIPPED_CARDS = [f"cosmicrays-{net}" for net in ("unet", "stis", "vi", "ensemble")]


@pytest.mark.parametrize("name", SHIPPED_CARDS)
def test_shipped_cards_say_what_they_were_measured_on(name: str) -> None:
    card = read_card(name)
    assert {"holdout-cr", "stis_pair", "wfpc2", "hrc"} <= set(card.metrics)
    reported = [one["dataset"] for one in card.calibration["reports"]]
    assert reported == ["holdout-cr", "stis_pair"]
    learnt = "both frames of the STIS pair" if name == "cosmicrays-stis" else NO_STIS
    assert learnt in card.data
    assert card.command == f"skysieve train cosmicrays --net {name.removeprefix('cosmicrays-')}"
    assert (WEIGHTS / f"{name}.json").stat().st_size < 60_000


@pytest.mark.parametrize("name", STUDY)
def test_networks_of_the_study_are_what_their_recipe_makes(name: str) -> None:
    net, card = load_net(name, WEIGHTS / "study")
    recipe = RECIPES[name]
    assert isinstance(net, UNet2SigmoidVI) is recipe.bayesian
    assert card.architecture["recipe"] == asdict(recipe)


def test_an_ensemble_is_written_with_all_its_members(
    tmp_path: Path, plain_net: UNet2Sigmoid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "simulated_holdout", small_holdout)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    training = Training("several", "none.", 3, 2, "skysieve train cosmicrays", "CPU", when)
    publish((plain_net, plain_net), training, tmp_path, None)
    members, card = load_members("several", tmp_path)
    assert len(members) == card.architecture["members"] == card.metrics["samples"] == 2


def test_halves_of_the_pair_have_the_rows_of_their_fold() -> None:
    frame = LabelledFrame(
        "pair", "one", np.zeros((1024, 8), np.float32), np.zeros((1024, 8), np.float32),
        np.arange(1024)[:, None] % 3 == np.zeros(8), np.zeros((1024, 8), bool), 5.0,
    )  # fmt: skip
    ramp = np.repeat(np.arange(1024, dtype=np.float32)[:, None], 8, axis=1) / 1024
    low, high = halves([frame], {"one": ramp})
    assert low.probability[0].max() < 0.5 <= high.probability[0].min()
    assert low.truth[0].sum() + high.truth[0].sum() == frame.truth.sum()


def test_tempering_divides_logits_and_blocks_count_on() -> None:
    judged = Judged(
        "one", (np.full(4, 0.8, np.float32),) * 2, (np.ones(4, bool),) * 2,
        (np.array([0, 0, 1, 1], np.int32),) * 2,
    )  # fmt: skip
    assert judged.tempered(2.0).probability[0][0] == pytest.approx(2 / 3)
    assert judged.blocks().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_linear_fill_follows_a_plane_exactly() -> None:
    y, x = np.mgrid[:20, :20].astype(np.float32)
    plane = 2 * x + y
    mask = np.zeros(plane.shape, bool)
    mask[8:11, 8:10] = True
    mask[0, 0] = True
    filled = linear_fill(np.where(mask, np.float32(500), plane), mask)
    np.testing.assert_allclose(filled[8:11, 8:10], plane[8:11, 8:10], atol=1e-4)
    assert filled[0, 0] in (1.0, 2.0, 3.0)


def test_fill_errors_are_small_on_a_flat_sky() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(100, 1, (40, 40)).astype(np.float32)
    truth = np.zeros(clean.shape, bool)
    truth[10:14, 10] = True
    frame = LabelledFrame("flat", "flat", clean + 1000 * truth, clean, truth, ~truth, 5.0)
    for errors in fill_errors([frame]).values():
        assert errors["pixel_error_sigma"] < 0.3
        assert errors["flux_error_share"] < 0.01


def test_a_missing_pair_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="SKYSIEVE_DATA"):
        next(stis_pair(tmp_path))


@pytest.mark.data
def test_real_holdouts_are_labelled(data_root: Path) -> None:
    folder = data_root / "cosmicrays"
    for frame in [*stis_pair(folder), *calibration_frames(folder)]:
        share = frame.truth[~frame.ignore].mean()
        assert 0.001 < share < 0.02
        assert np.isfinite(frame.pixels).all()
        assert frame.clean.shape == frame.pixels.shape


@pytest.mark.data
def test_the_shipped_plain_network_beats_a_threshold_on_real_hits(data_root: Path) -> None:
    frame = next(stis_pair(data_root / "cosmicrays"))
    part = (slice(0, 512), slice(0, 256))
    crop = LabelledFrame(
        "stis_pair", "corner", frame.pixels[part], frame.clean[part], frame.truth[part],
        frame.ignore[part], frame.read_noise_e,
    )  # fmt: skip
    net, _ = load_net("cosmicrays-unet", WEIGHTS)
    detector = publishing.net_detector(net, samples=1, seed=0)
    ours = recall_figures(judge(detector, [crop]))["tpr_at_fpr_0.001"]
    brightness = recall_figures(judge(lambda one: one.pixels, [crop]))["tpr_at_fpr_0.001"]
    assert ours > 0.7
    assert ours > 2 * brightness
