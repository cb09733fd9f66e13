"""A tiny embedder and a reference fitted with it, so that most tests need no network weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.embedders.base import Embeddings, Images
from engine.anomalies.embedders.morphology import resample
from engine.anomalies.fitting import Normals, fit_reference
from engine.anomalies.reference import Reference
from engine.cards import ModelCard, file_digest, write_card


class TinyEmbedder:
    """Mean brightness over a 4 x 4 grid: 16 numbers, and 4 more of its corners as morphology."""

    name = "tiny"
    dimension = 20
    input_side = 160
    parts = {"deep": slice(0, 16), "morphology": slice(16, 20)}  # noqa: RUF012

    def embed(self, images: Images) -> Embeddings:
        grid = resample(images, 4).mean(axis=1).reshape(len(images), 16)
        corners = grid[:, [0, 3, 12, 15]]
        return np.concatenate([grid, corners], axis=1).astype(np.float32)


def normal_features(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Correlated positive features of ordinary things, float32 (rows, 20)."""
    hidden = rng.normal(size=(rows, 3))
    mixing = np.random.default_rng(7).normal(size=(3, 20))
    return (5 + hidden @ mixing + 0.3 * rng.normal(size=(rows, 20))).astype(np.float32)


@pytest.fixture(scope="session")
def tiny() -> TinyEmbedder:
    return TinyEmbedder()


@pytest.fixture(scope="session")
def normals(tiny: TinyEmbedder) -> Normals:
    features = normal_features(np.random.default_rng(0), 900)
    labels = ["star" if row[0] > 5 else "spiral" for row in features]
    keys = [f"image-{row // 3}" for row in range(len(features))]
    areas = np.exp(3 + 0.5 * features[:, 0].astype(np.float64) / 5)
    areas[::50] = np.nan
    return Normals(features, keys, tiny.parts, "tiny", ("sim",), ("source",), labels, areas=areas)


@pytest.fixture(scope="session")
def reference(normals: Normals) -> Reference:
    return fit_reference("tiny-reference", normals)


@pytest.fixture(scope="session")
def reference_folder(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    weights = folder / "tiny-reference.safetensors"
    reference.save(weights)
    card = ModelCard(
        "tiny-reference", "anomaly", file_digest(weights), "", {}, "none", 0, "", "CPU", ""
    )
    write_card(folder, card)
    return folder
