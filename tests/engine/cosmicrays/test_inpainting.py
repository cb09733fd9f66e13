"""Filling: from good neighbours only, farther only where it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cards import read_card
from engine.cosmicrays.fill_training import examples, fill_source, train_fill
from engine.cosmicrays.inpainting import inpaint
from engine.cosmicrays.learned_fill import FillNet, learned_values, shipped_fill_net
from engine.cosmicrays.patches import PatchSource
from engine.errors import ModelError


def test_a_pixel_gets_the_median_of_its_neighbours() -> None:
    pixels = np.array([[1, 2, 3], [4, 999, 6], [7, 8, 90]], np.float32)
    mask = pixels == 999
    filled = inpaint(pixels, mask)
    assert filled[1, 1] == 5.0
    assert np.array_equal(filled[~mask], pixels[~mask])


def test_masked_and_unusable_neighbours_are_not_used() -> None:
    pixels = np.full((7, 7), 10, np.float32)
    pixels[2:5, 2:5] = 500
    pixels[0] = np.nan
    mask, unusable = pixels == 500, np.isnan(pixels)
    filled = inpaint(pixels, mask, unusable)
    assert (filled[2:5, 2:5] == 10).all()
    assert np.isnan(filled[0]).all()


def test_the_middle_of_a_large_hole_takes_the_nearest_good_pixel() -> None:
    pixels = np.zeros((60, 60), np.float32)
    pixels[:, 0] = 7
    mask = np.ones((60, 60), bool)
    mask[:, 0] = False
    assert (inpaint(pixels, mask) == 7).all()


def test_a_slope_is_kept() -> None:
    y, x = np.mgrid[:30, :30].astype(np.float32)
    pixels = 3 * x + 2 * y
    mask = np.zeros((30, 30), bool)
    mask[10:20, 15] = True
    np.testing.assert_allclose(inpaint(pixels, mask)[mask], pixels[mask], atol=4)


def test_the_input_is_left_alone() -> None:
    pixels = np.arange(25, dtype=np.float32).reshape(5, 5)
    before = pixels.copy()
    inpaint(pixels, pixels == 12)
    assert np.array_equal(pixels, before)


def test_without_a_good_pixel_there_is_nothing_to_fill_from() -> None:
    with pytest.raises(ValueError, match="no good pixel"):
        inpaint(np.zeros((3, 3), np.float32), np.ones((3, 3), bool))


def places(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(mask)
    return rows, columns


def test_a_plane_is_continued_where_it_is_seen_from_all_sides() -> None:
    y, x = np.mgrid[:20, :20].astype(np.float32)
    pixels = 100 + 3 * x - 2 * y
    mask = np.zeros((20, 20), bool)
    mask[10, 8:11] = mask[5, 5] = True
    spoiled = np.where(mask, np.float32(9000), pixels)
    filled = inpaint(spoiled, mask, fill="smooth")
    np.testing.assert_allclose(filled, pixels, atol=0.8)
    assert filled[5, 5] == pytest.approx(pixels[5, 5], abs=1e-3)


@pytest.mark.parametrize("fill", ["median", "smooth", "learned"])
def test_every_fill_fills_everything_with_finite_values(fill: str) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.normal(50, 5, (60, 45)).astype(np.float32)
    mask = rng.random(pixels.shape) < 0.03
    mask[0, 0] = mask[59, 44] = True
    mask[20:42, 10:33] = True
    unusable = np.zeros_like(mask)
    unusable[:3, 20:] = True
    spoiled = np.where(unusable, np.float32(np.nan), pixels)
    filled = inpaint(spoiled, mask, unusable, fill=fill)  # type: ignore[arg-type]
    assert np.isfinite(filled[~unusable | mask]).all()
    assert np.array_equal(filled[~mask], spoiled[~mask], equal_nan=True)
    assert np.abs(filled[mask] - 50).max() < 25


@pytest.mark.parametrize("fill", ["smooth", "learned"])
def test_unit_and_level_only_scale_the_fill(fill: str) -> None:
    pixels = np.random.default_rng(3).normal(500, 20, (30, 30)).astype(np.float32)
    mask = np.zeros((30, 30), bool)
    mask[10:13, 10:14] = True
    filled = inpaint(pixels, mask, fill=fill)  # type: ignore[arg-type]
    scaled = inpaint(pixels / 4 + 7, mask, fill=fill)  # type: ignore[arg-type]
    np.testing.assert_allclose(scaled, filled / 4 + 7, rtol=1e-4)


def test_a_constant_surrounding_has_no_spread_and_is_copied() -> None:
    mask = np.zeros((20, 20), bool)
    mask[9:11, 9:11] = True
    flat = np.full((20, 20), 7, np.float32)
    for fill in ("median", "smooth", "learned"):
        assert inpaint(flat, mask, fill=fill) == pytest.approx(7)  # type: ignore[arg-type]


def test_another_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="fill must be one of"):
        inpaint(np.zeros((3, 3), np.float32), np.zeros((3, 3), bool), fill="magic")  # type: ignore[arg-type]


def test_a_window_with_too_little_in_it_is_left_to_the_median() -> None:
    good = np.zeros((21, 21), bool)
    good[10, 5:16] = True
    value = learned_values(FillNet(4), np.ones((21, 21), np.float32), good, places(~good[10:11]))
    assert np.isnan(value).all()


def test_the_shipped_fill_is_the_best_of_its_card() -> None:
    """The default was chosen by the median error of a hit's flux on the sets named for it."""
    chosen_by = read_card("cosmicrays-fill").metrics["choice"]
    best = min(chosen_by, key=lambda name: chosen_by[name]["flux_error_sigma"])
    assert best == "learned"
    assert shipped_fill_net() is shipped_fill_net()


def test_weights_without_a_card_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'cosmicrays-fill'"):
        shipped_fill_net(tmp_path)


@pytest.mark.slow
def test_training_repeats_and_learns() -> None:
    source = fill_source(1, None, fields=6)
    first, again = (train_fill(source, 120, 4) for _ in range(2))
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert _typical_error(first, source) < 0.97 * _typical_error(train_fill(source, 1, 4), source)


def _typical_error(net: FillNet, source: PatchSource) -> float:
    """Median error in units of noise over the covered pixels of patches of another seed."""
    errors = []
    for number in range(8):
        x, wanted, scale = examples(source, np.random.default_rng([99, number]))
        with torch.no_grad():
            errors.append(np.abs((net(torch.from_numpy(x)).numpy() - wanted) * scale))
    return float(np.median(np.concatenate(errors)))
