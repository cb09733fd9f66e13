"""Injection: where charge lands, what counts as hit, and that nothing hangs on luck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.cosmicrays.bases import Base, sharp_peaks
from engine.cosmicrays.curriculum import HitMixture, simulated_hits
from engine.cosmicrays.hits import (
    HitLibrary,
    add_charge,
    hit_labels,
    label_noise,
    read_hits,
    scatter_hits,
)
from engine.cosmicrays.patches import PatchSource
from engine.errors import UnreadableFile
from engine.split import split_of


def test_labels_by_hand() -> None:
    charge = np.zeros((5, 9), np.float32)
    charge[1, 1], charge[2, 2] = 7, 4  # a seed above 6 sigma and its diagonal neighbour above 3
    charge[3, 6] = 5  # above 3 sigma, never reaching 6
    charge[0, 8] = 0.5  # too little to matter
    truth, ignore = hit_labels(charge, np.ones_like(charge))
    assert np.argwhere(truth).tolist() == [[1, 1], [2, 2]]
    assert np.argwhere(ignore).tolist() == [[3, 6]]


def test_no_charge_no_labels() -> None:
    truth, ignore = hit_labels(np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32))
    assert not truth.any()
    assert not ignore.any()


def test_label_noise_by_hand() -> None:
    pixels = np.array([[-5.0, 100.0, 1100.0]], np.float32)
    noise = label_noise(pixels, read_noise_e=3.0, sky_e=100.0)
    np.testing.assert_allclose(noise, [[3, np.sqrt(109), np.sqrt(1109 + 60**2)]], rtol=1e-6)


@pytest.mark.parametrize("stamp", [(1, 1), (1, 3), (40, 2), (9, 60)])
def test_stamps_may_hang_over_every_edge(stamp: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    library = HitLibrary("ones", (np.ones(stamp, np.float32),))
    charge = scatter_hits(rng, (12, 17), library.draw, share=0.9)
    assert charge.shape == (12, 17)
    assert charge.min() >= 0
    assert np.array_equal(charge, np.rint(charge))
    assert (charge > 0).any()


def test_scattering_covers_what_was_asked_for() -> None:
    library = HitLibrary("dot", (np.full((2, 2), 50, np.float32),))
    charge = scatter_hits(np.random.default_rng(1), (200, 200), library.draw, share=0.01)
    assert 0.008 < np.count_nonzero(charge) / charge.size <= 0.0102


def test_charge_brings_its_own_noise() -> None:
    rng = np.random.default_rng(2)
    charge = np.full((200, 200), 400, np.float32)
    charge[:100] = 0
    added = add_charge(rng, np.zeros_like(charge), charge)
    assert (added[:100] == 0).all()
    assert added[100:].mean() == pytest.approx(400, abs=1)
    assert added[100:].std() == pytest.approx(20, rel=0.05)


def test_a_library_is_split_by_name(tmp_path: Path) -> None:
    stamps = {f"hit{k}": np.full((2, 2), 100, np.float32) for k in range(60)}
    stamps["faint"] = np.ones((2, 2), np.float32)
    stamps["long"] = np.ones((200, 1), np.float32)
    np.savez(tmp_path / "hits.npz", **stamps)
    whole = read_hits(tmp_path / "hits.npz")
    sizes = [
        len(read_hits(tmp_path / "hits.npz", split=part).stamps)
        for part in ("fit", "calibrate", "test")
    ]
    assert len(whole.stamps) == sum(sizes) == 60
    assert sizes[0] == sum(split_of(f"hits/hit{k}") == "fit" for k in range(60))


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hits.npz"
    path.write_bytes(b"not a zip")
    with pytest.raises(UnreadableFile, match="not a library of hits"):
        read_hits(path)
    np.savez(path, faint=np.zeros((2, 2), np.float32))
    with pytest.raises(UnreadableFile, match="no usable hit"):
        read_hits(path)


def test_sharp_peaks_spare_stars() -> None:
    y, x = np.mgrid[:40, :40]
    star = 1000 * np.exp(-((x - 10) ** 2 + (y - 10) ** 2) / (2 * 1.5**2))
    pixels = (100 + star).astype(np.float32)
    pixels[30, 30] += 1000
    marked = sharp_peaks(pixels, np.full_like(pixels, 10))
    assert marked[27:34, 27:34].all()
    assert not marked[:25, :25].any()


@pytest.fixture
def source() -> PatchSource:
    rng = np.random.default_rng(4)
    pixels = rng.normal(100, 10, (64, 64)).astype(np.float32)
    ignore = np.zeros(pixels.shape, bool)
    ignore[:, :8] = True
    base = Base.of(pixels, 5.0, ignore)
    hits = HitMixture((simulated_hits(rng, 20),), ((0.0, 0.3),))
    return PatchSource([[base]], [1.0], hits)


def test_patches_repeat_and_never_ignore_a_hit(source: PatchSource) -> None:
    first = source.batch(np.random.default_rng(1), 6, 32)
    again = source.batch(np.random.default_rng(1), 6, 32)
    assert np.array_equal(first.x, again.x)
    assert first.x.shape == first.truth.shape == first.weight.shape == (6, 1, 32, 32)
    assert first.x.dtype == first.truth.dtype == np.float32
    assert (first.weight[first.truth == 1] == 1).all()
    assert 0 < first.truth.mean() < 0.2
    assert np.median(first.x[first.truth == 1]) > 3


def test_shares_must_sum_to_one(source: PatchSource) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        PatchSource(source.groups, [0.5], source.draw_hit)


def test_simulated_hits_are_whole_and_bright() -> None:
    library = simulated_hits(np.random.default_rng(0), 50)
    assert len(library.stamps) >= 50
    assert min(stamp.sum() for stamp in library.stamps) >= 200
