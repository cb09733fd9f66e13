"""`skysieve train cosmicrays` and `skysieve bench cosmicrays`, on a little of everything."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.cards import read_card
from engine.cosmicrays import curriculum, publishing
from engine.cosmicrays.holdouts import simulated_holdout
from engine.cosmicrays.recipes import chain
from jobs.bench import cosmicrays as bench
from jobs.cli.cosmicrays import train_cosmicrays
from jobs.errors import UsageError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three fields to train on, two small frames to measure on, no real images."""
    monkeypatch.delenv("SKYSIEVE_DATA", raising=False)
    monkeypatch.setenv("SKYSIEVE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    few = functools.partial(curriculum.training_source, fields=3)
    monkeypatch.setattr(curriculum, "training_source", few)
    small = functools.partial(simulated_holdout, frames=2, size=64)
    monkeypatch.setattr(publishing, "simulated_holdout", small)
    monkeypatch.setattr(bench, "simulated_holdout", small)


@pytest.mark.slow
def test_training_writes_weights_that_the_next_stage_starts_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "weights"
    train_cosmicrays(steps=2, seed=5, out=out, as_json=True)
    assert json.loads(capsys.readouterr().out)["steps"] == 2 * len(chain("general"))
    train_cosmicrays(net="vi", steps=1, seed=5, out=out, as_json=True)
    plain, bayesian = read_card("cosmicrays-unet", out), read_card("cosmicrays-vi", out)
    assert plain.command == "skysieve train cosmicrays --net unet --steps 2 --seed 5"
    assert bayesian.command == "skysieve train cosmicrays --net vi --steps 1 --seed 5"
    assert (plain.seed, plain.architecture["bayesian"]) == (5, False)
    assert bayesian.architecture["bayesian"] is True
    assert "Hits simulated" in plain.data
    assert set(plain.metrics) & {"holdout-cr", "stis_pair"} == {"holdout-cr"}
    assert (out / "cosmicrays-vi.safetensors").stat().st_size < 1_000_000


@pytest.mark.slow
def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    out = tmp_path / "weights"
    train_cosmicrays(steps=1, seed=5, out=out, as_json=True)
    stages = sorted((tmp_path / ".checkpoints" / "cosmicrays").glob("*.safetensors"))
    assert len(stages) == len(chain("general"))
    made = [path.stat().st_mtime_ns for path in stages]
    train_cosmicrays(steps=1, seed=5, out=out, resume=True, as_json=True)
    assert [path.stat().st_mtime_ns for path in stages] == made


def test_the_stis_network_needs_the_real_frames(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="set SKYSIEVE_DATA"):
        train_cosmicrays(net="stis", steps=1, out=tmp_path, as_json=True)


@pytest.mark.slow
def test_the_bench_writes_what_it_returns(tmp_path: Path) -> None:
    out = tmp_path / "cosmicrays.json"
    figures = bench.bench_cosmicrays(out, data=None, seed=1, now=NOW, samples=2)
    document = json.loads(out.read_text())
    assert document["bench"] == "cosmicrays"
    assert document["date"].startswith("2026-01-02T03:04:05")
    assert document["digests"]["vi_2_samples"] == read_card("cosmicrays-vi").digest
    assert document["figures"]["holdout-cr"].keys() == figures["holdout-cr"].keys()
    assert {"unet", "vi_2_samples", "unet_8_views", "lacosmic"} <= set(figures["holdout-cr"])
    assert "stis_pair" not in figures
