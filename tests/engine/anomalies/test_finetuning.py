"""Fine-tuning starts from the probe, never ends worse on validation, and comes back from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from engine.anomalies.embedders.efficientnet import frozen_network
from engine.anomalies.finetuning import FineTuned, Tail, fine_tune, frozen_maps
from engine.anomalies.probing import ProbeModel, measure_probe
from engine.errors import CalibrationError, ModelError

RNG = np.random.default_rng(0)


def images(count: int) -> tuple[np.ndarray, list[str], list[str]]:
    rows, columns = np.mgrid[:48, :48] / 48
    target = RNG.integers(2, size=count)
    waves = np.sin(2 * np.pi * np.where(target[:, None, None], 3 * rows, 9 * columns)) / 4 + 0.5
    noisy = np.clip(waves + 0.3 * RNG.normal(size=waves.shape), 0, 1)
    made = np.repeat(noisy[:, None], 3, axis=1).astype(np.float32)
    return made, [("slow", "fast")[t] for t in target], [str(number) for number in range(count)]


@pytest.mark.slow
def test_the_tuned_network_is_kept_where_it_validates_best(tmp_path: Path) -> None:
    made, labels, keys = images(120)
    tuning = fine_tune(made, labels, keys, epochs=1, seed=1)
    metrics = tuning.metrics
    assert metrics["kept_epoch"] in (0, 1)
    assert metrics["fine_tuned"]["accuracy"] > 0.8
    gain = metrics["fine_tuned"]["accuracy"] - metrics["start"]["accuracy"]
    assert metrics["accuracy_gain"] == pytest.approx(gain)
    counted = sum(sum(row.values()) for row in metrics["confusion"].values())
    assert counted == metrics["images"]["test"]
    tuning.model.save(tmp_path / "tuned.safetensors")
    again = FineTuned.load(tmp_path / "tuned.safetensors")
    expected = tuning.model.probabilities(made[:3])
    np.testing.assert_array_equal(again.probabilities(made[:3]), expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1)


@pytest.mark.slow
def test_the_tail_continues_the_frozen_network() -> None:
    made, _, _ = images(2)
    pooled = Tail(2).pooled(frozen_maps(made)).detach().numpy()
    network = frozen_network()
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(made), size=(160, 160), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        head = network.extract_features((resized * 255 - 127) / 128).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(pooled, head, rtol=1e-3, atol=1e-3)


def test_too_few_images_are_refused() -> None:
    made, labels, keys = images(20)
    with pytest.raises(CalibrationError, match="at least 8 images in each split"):
        fine_tune(made, labels, keys)


def test_other_files_are_no_classifier(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is not a fine-tuned classifier"):
        FineTuned.load(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="is damaged"):
        ProbeModel.load(tmp_path / "x.safetensors")
    save_file({"x": np.zeros(1)}, tmp_path / "y.safetensors")
    with pytest.raises(ModelError, match="is not a class head"):
        ProbeModel.load(tmp_path / "y.safetensors")


def test_a_probe_is_measured_on_sources_it_never_saw_and_comes_back(tmp_path: Path) -> None:
    target = RNG.integers(2, size=200)
    rows = (RNG.normal(size=(200, 12)) + 2 * target[:, None]).astype(np.float32)
    labels = [("no", "yes")[t] for t in target]
    keys = [str(number // 2) for number in range(200)]
    model, metrics = measure_probe(rows, labels, keys)
    assert metrics["accuracy"] > 0.9
    assert metrics["accuracy_gain"] == metrics["accuracy"] - metrics["majority_accuracy"]
    assert metrics["nll"] < metrics["uncalibrated_nll"] + 0.05
    model.save(tmp_path / "probe.safetensors")
    again = ProbeModel.load(tmp_path / "probe.safetensors")
    np.testing.assert_array_equal(again.head.logits(rows), model.head.logits(rows))
    assert again.names == ("no", "yes")
