"""`skysieve bench cosmicrays-speed`, on a frame that takes no time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from jobs.bench import cosmicrays_speed as bench

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.slow
def test_every_detector_is_timed_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "OURS", ("unet",))
    monkeypatch.setattr(bench, "OTHERS", ("clean_command",))
    monkeypatch.setattr(bench, "DEEPCR", ("deepcr_patch_64",))
    out = tmp_path / "speed.json"
    figures = bench.bench_cosmicrays_speed(out, 3, NOW, side=96, threads=1, repeats=1)
    assert json.loads(out.read_text())["bench"] == "cosmicrays-speed"
    for name in ("unet", "clean_command", "deepcr_patch_64"):
        assert figures[name]["seconds"] > 0
        assert 1e8 < figures[name]["peak_rss_bytes"] < 2e9
    accuracy = figures["bfloat16_accuracy"]
    assert "failed" in accuracy or 0 < accuracy["largest_change"] < 0.2


def test_ratios_are_those_of_the_targets() -> None:
    seconds = {"unet": 5, "unet_8_views": 41, "vi_16_samples": 80, "lacosmic": 1}
    seconds |= {"deepcr_patch_1024": 50, "deepcr_patch_256": 10}
    figures = {name: {"seconds": value} for name, value in seconds.items()}
    assert bench._ratios({**figures, "side_px": 4}) == {
        "unet_over_deepcr_default_patch": 0.1,
        "unet_over_deepcr_best_patch": 0.5,
        "unet_8_views_over_unet": 8.2,
        "vi_16_samples_over_unet": 16.0,
    }
    assert bench._ratios({"unet": {"failed": ["x"]}}) == {}


@pytest.mark.parametrize("name", ["unet", "unet_8_views", "lacosmic"])
def test_a_detector_gives_a_mask(name: str) -> None:
    pixels = bench._frame(0, 64)
    mask = bench._detector(name)(pixels)
    assert mask.shape == (64, 64)
    assert mask.dtype == np.bool_
