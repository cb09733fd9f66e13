"""The embedders that load weights, and how they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.embedders import make_embedder
from engine.errors import ModelError

IMAGES = np.random.default_rng(0).uniform(size=(3, 3, 96, 80)).astype(np.float32)


def test_efficientnet_gives_1584_numbers_that_do_not_depend_on_the_batch() -> None:
    embedder = make_embedder("efficientnet_lite0")
    vectors = embedder.embed(IMAGES)
    assert vectors.shape == (3, 1584)
    np.testing.assert_allclose(embedder.embed(IMAGES[1:2]), vectors[1:2], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(embedder.embed(IMAGES), vectors)
    assert embedder.embed(IMAGES[:0]).shape == (0, 1584)
    assert (vectors[:, -1280:] >= 0).all()


@pytest.mark.slow
def test_eight_views_do_not_see_how_an_image_is_turned() -> None:
    embedder = make_embedder("efficientnet_lite0:8")
    square = np.ascontiguousarray(IMAGES[:1, :, :80])
    turned = np.ascontiguousarray(np.rot90(square, axes=(2, 3)))
    np.testing.assert_allclose(embedder.embed(square), embedder.embed(turned), rtol=1e-3, atol=1e-3)


def test_joined_embedders_keep_their_parts() -> None:
    joined = make_embedder("morphology+efficientnet_lite0")
    parts = [make_embedder(name) for name in ("morphology", "efficientnet_lite0")]
    vectors = joined.embed(IMAGES)
    assert joined.name == "morphology+efficientnet_lite0"
    assert joined.parts == {"morphology": slice(0, 81), "deep": slice(81, 81 + 1584)}
    np.testing.assert_array_equal(vectors[:, joined.parts["morphology"]], parts[0].embed(IMAGES))
    np.testing.assert_array_equal(vectors[:, joined.parts["deep"]], parts[1].embed(IMAGES))


def test_a_vision_transformer_comes_from_a_local_folder(tmp_path: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
    )
    model = ViTModel(config).eval()
    model.save_pretrained(tmp_path)
    embedder = make_embedder(f"vit:{tmp_path}")
    vectors = embedder.embed(IMAGES)
    assert vectors.shape == (3, embedder.dimension) == (3, 24)
    small = torch.nn.functional.interpolate(
        torch.from_numpy(IMAGES), size=(32, 32), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        expected = model(pixel_values=2 * small - 1).last_hidden_state[:, 0]
    np.testing.assert_allclose(vectors, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_missing_models_and_wrong_names_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no embedder 'resnet': use efficientnet_lite0"):
        make_embedder("resnet")
    with pytest.raises(ModelError, match=r"no vision transformer at .*models fetch"):
        make_embedder(f"vit:{tmp_path / 'nothing'}")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float64), "float32"),
        (IMAGES[:, :1], r"\(N, 3, H, W\)"),
        (IMAGES * np.float32(255), r"in \[0, 1\]"),
        (np.full_like(IMAGES, np.nan), "finite"),
    ],
)
def test_images_out_of_range_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_embedder("morphology").embed(images)
