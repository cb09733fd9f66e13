"""What networks are trained on: optics, fields, labels as a pair of exposures would give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.cosmicrays.exposures import window_of
from engine.cosmicrays.fields import Field, random_field
from engine.cosmicrays.hits import pair_labels
from engine.cosmicrays.optics import random_spread
from engine.cosmicrays.stis import (
    ALL_ROWS,
    FOLDS,
    StisFrame,
    labelled_hits,
    pair_hits,
    pair_scenes,
    read_pair,
    training_rows,
)
from engine.errors import UnreadableFile


def test_point_spreads_sum_to_one_and_peak_in_the_middle() -> None:
    for seed in range(6):
        spread, fwhm = random_spread(np.random.default_rng(seed))
        assert spread.sum() == pytest.approx(1, abs=1e-4)
        assert spread.min() >= 0
        assert spread.argmax() == spread.size // 2
        assert 1.5 <= fwhm <= 5


def test_a_field_is_exposed_anew_every_time_with_the_noise_it_states() -> None:
    field = Field(np.zeros((64, 64), np.float32))
    rng = np.random.default_rng(1)
    first, second = (field.exposure(rng, 64) for _ in range(2))
    assert not np.array_equal(first.pixels, second.pixels)
    assert np.std(first.noise / first.sigma) == pytest.approx(1, abs=0.15)
    assert not first.ignore.any()


def test_light_is_not_negative_and_falls_where_stars_are() -> None:
    field = random_field(np.random.default_rng(3), 64)
    assert field.light.shape == (64, 64)
    assert field.light.dtype == np.float32
    assert field.light.min() >= 0
    assert field.light.max() > 10 * np.median(field.light)


def test_a_patch_larger_than_the_scene_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        window_of(np.random.default_rng(0), (10, 40), 12)


def test_pair_labels_are_seeded_at_six_sigma_and_grown_to_three() -> None:
    charge = np.zeros((9, 30), np.float32)
    charge[4, 4:7] = (200, 1000, 200)
    charge[4, 20] = 450
    sigma, quiet = np.full(charge.shape, 10, np.float32), np.zeros_like(charge)
    rng = np.random.default_rng(0)
    truth, ignore = pair_labels(rng, charge, quiet, sigma, stretch=10.0)
    assert np.argwhere(truth).tolist() == [[4, 5]]
    assert np.argwhere(ignore).tolist() == [[4, 20]]


def test_noise_alone_is_never_a_hit() -> None:
    noise = np.zeros((5, 5), np.float32)
    noise[2, 2] = 500
    sigma, none = np.full(noise.shape, 10, np.float32), np.zeros_like(noise)
    truth, ignore = pair_labels(np.random.default_rng(0), none, noise, sigma, stretch=1.2)
    assert not truth.any()
    assert ignore[2, 2]


def small_pair() -> tuple[StisFrame, StisFrame]:
    rng = np.random.default_rng(2)
    shape = (1024, 512)
    first, second = (rng.normal(25, 5, shape).astype(np.float32) for _ in "AB")
    truth = np.zeros(shape, bool)
    truth[100:103, 50] = truth[505:508, 60] = truth[800, 70:72] = True
    first[truth] += 900
    nothing = np.zeros(shape, bool)
    clean = np.full(shape, 25, np.float32)
    return (
        StisFrame("A", first, second, clean, truth, nothing),
        StisFrame("B", second, first, clean, nothing, nothing),
    )


def test_hits_are_cut_from_the_rows_asked_for_and_no_others() -> None:
    pair = small_pair()
    assert len(pair_hits(pair).stamps) == 3
    low, high = (pair_hits(pair, training_rows(fold)) for fold in ("low", "high"))
    assert len(low.stamps) == len(high.stamps) == 1
    assert low.stamps[0].sum() == pytest.approx(2700, rel=0.05)
    assert low.stamps[0].shape == (5, 3)


def test_folds_share_no_row_and_keep_a_margin() -> None:
    low, high = training_rows("low"), training_rows("high")
    assert low.stop + 32 == high.start
    assert low.stop < FOLDS["high"].start
    assert FOLDS["low"].stop < high.start
    assert training_rows(None) == ALL_ROWS


def test_secret_hits_are_neither_learnt_nor_scored() -> None:
    pair = small_pair()
    secret = np.zeros(pair[0].truth.shape, bool)
    for window, inside in labelled_hits(pair[0], "test"):
        secret[window] |= inside
    scene, _ = pair_scenes(pair, ALL_ROWS)
    assert not (scene.truth & secret).any()
    assert scene.ignore[secret].all()
    assert np.array_equal(scene.truth | secret, pair[0].truth)


def test_a_missing_pair_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="SKYSIEVE_DATA"):
        read_pair(tmp_path)


@pytest.mark.data
def test_every_hit_of_the_real_pair_is_in_one_split(data_root: Path) -> None:
    pair = read_pair(data_root / "cosmicrays")
    for frame in pair:
        counts = {
            split: sum(1 for _ in labelled_hits(frame, split))
            for split in ("fit", "calibrate", "test")
        }
        assert sum(counts.values()) == sum(1 for _ in labelled_hits(frame))
        assert min(counts.values()) > 30
