"""Byte savings are what they would be by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboard.codec_curves import curve_points, saved
from engine.codec.corpus import stretched
from engine.frame import Frame, Origin
from jobs.bench.codec_classics import BASELINES, coded_within
from jobs.bench.codec_rates import at_rate, bd_rate, card_curves

CURVE = [{"bpp": rate, "psnr_db": 30 + 5 * math.log2(rate)} for rate in (0.1, 0.25, 0.5, 1.0)]


def scaled(curve: list[dict[str, float]], times: float) -> list[dict[str, float]]:
    return [{**point, "bpp": times * point["bpp"]} for point in curve]


@pytest.mark.parametrize("times", [0.5, 0.85, 1.0, 1.3])
def test_a_curve_of_scaled_rates_saves_that_share(times: float):
    assert bd_rate(scaled(CURVE, times), CURVE) == pytest.approx(100 * (times - 1), abs=0.05)


def test_curves_that_do_not_meet_say_nothing():
    higher = [{**point, "psnr_db": point["psnr_db"] + 90} for point in CURVE]
    assert math.isnan(bd_rate(higher, CURVE))
    assert math.isnan(bd_rate(CURVE[:1], CURVE))


def test_points_that_cost_more_and_give_less_are_left_out():
    worse = [*CURVE, {"bpp": 0.6, "psnr_db": 10.0}]
    assert bd_rate(worse, CURVE) == pytest.approx(0.0, abs=1e-6)


def test_quality_at_a_rate_is_linear_in_its_logarithm():
    assert at_rate(CURVE, 0.35) == pytest.approx(30 + 5 * math.log2(0.35))


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_keeps_its_rate_and_gains_by_it(name: str):
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal(0, 3, (64, 96)).cumsum(axis=0) + 128, 0, 255).astype(np.uint8)
    frame = Frame.of(pixels, Origin("test", "bench"))
    low, high = (coded_within(BASELINES[name], frame, rate) for rate in (2.0, 4.0))
    assert low["bpp"] <= 2.0 < high["bpp"] <= 4.0
    assert 20 < low["psnr_db"] < high["psnr_db"]


def test_a_rover_frame_is_stretched_between_its_percentiles():
    samples = np.linspace(0, 4095, 20_000).reshape(100, 200).astype(np.uint16)
    levels = stretched(Frame.of(samples, Origin("test", "rover"))).pixels
    assert (levels.min(), levels.max()) == (0, 255)
    assert levels.mean() == pytest.approx(127.5, abs=0.5)


def test_a_card_holds_curves_that_the_page_can_draw():
    figures = {
        "rover": {
            "frames": 2,
            "bd_rate_percent_against_jpeg2000": {"skysieve": -12.34},
            "curves": {"skysieve": CURVE, "jpeg2000": [{"bpp": 1.0, "psnr_db": float("nan")}]},
            "by_frame": [],
        }
    }
    kept = card_curves(figures)["rover"]
    assert "by_frame" not in kept
    assert [point["codec"] for point in curve_points(kept, "psnr_db")] == ["skysieve"] * 4
    assert saved(kept).startswith("12.3 % fewer bytes than JPEG 2000")
