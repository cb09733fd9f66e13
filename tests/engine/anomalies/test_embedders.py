"""The embedders that load weights, and how they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.embedders import make_embedder
from engine.anomalies.embedders.fitted import object_sizes, object_squares
from engine.anomalies.embedders.precision import best_precision
from engine.anomalies.embedders.vit import VitEmbedder
from engine.errors import ModelError

IMAGES = np.random.default_rng(0).uniform(size=(3, 3, 96, 80)).astype(np.float32)


@pytest.mark.slow
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


@pytest.mark.slow
def test_joined_embedders_keep_their_parts() -> None:
    joined = make_embedder("morphology+efficientnet_lite0")
    parts = [make_embedder(name) for name in ("morphology", "efficientnet_lite0")]
    vectors = joined.embed(IMAGES)
    assert joined.name == "morphology+efficientnet_lite0"
    assert joined.parts == {"morphology": slice(0, 81), "deep": slice(81, 81 + 1584)}
    np.testing.assert_array_equal(vectors[:, joined.parts["morphology"]], parts[0].embed(IMAGES))
    np.testing.assert_array_equal(vectors[:, joined.parts["deep"]], parts[1].embed(IMAGES))


@pytest.mark.slow
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
    embedder = VitEmbedder(str(tmp_path), precision="fp32")
    vectors = embedder.embed(IMAGES)
    assert vectors.shape == (3, embedder.dimension) == (3, 24)
    small = torch.nn.functional.interpolate(
        torch.from_numpy(IMAGES), size=(32, 32), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        hidden = model(pixel_values=2 * small - 1).last_hidden_state
    np.testing.assert_allclose(vectors, hidden[:, 0].numpy(), rtol=1e-4, atol=1e-5)
    patches = embedder.patch_tokens(IMAGES)
    assert patches.shape == (3, 2, 2, 24)
    np.testing.assert_allclose(patches[:, 0, 1], hidden[:, 2].numpy(), rtol=1e-4, atol=1e-5)
    for precision in ("int8", "bf16"):
        quick = VitEmbedder(str(tmp_path), precision=precision).embed(IMAGES)
        lengths = np.linalg.norm(quick, axis=1) * np.linalg.norm(vectors, axis=1)
        assert ((quick * vectors).sum(axis=1) / lengths).min() > 0.995


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx512_vnni": True, "avx512_bf16": True}, "int8"),
        ({"avx_vnni": True}, "int8"),
        ({"avx512_vnni": False, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx2": True}, "fp32"),
    ],
)
def test_the_number_format_is_what_the_processor_has(
    capabilities: dict[str, bool], precision: str
) -> None:
    assert best_precision(capabilities, ["x86"]) == precision
    assert best_precision(capabilities, []) != "int8"


def disc(radius_px: float, side: int = 160, level: float = 0.05) -> np.ndarray:
    """One image float32 (1, 3, side, side): a flat disc in the middle over a flat sky."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    plane = np.where(np.hypot(y, x) <= radius_px, 0.9, level).astype(np.float32)
    return np.repeat(plane[None, None], 3, axis=1)


def test_a_fitted_square_follows_the_light_in_the_middle() -> None:
    small, large = (float(object_sizes(disc(radius))[0]) for radius in (20, 40))
    # 90 % of a disc's light lies within sqrt(0.9) of its radius, and the margin is 1.5.
    assert small == pytest.approx(1.5 * 20 * 0.9**0.5 / 80, abs=0.03)
    assert large == pytest.approx(2 * small, rel=0.06)
    beside = disc(20)
    beside[:, :, 10:40, 10:40] = 0.9  # another one, not connected with the middle
    assert float(object_sizes(beside)[0]) == small


def test_where_nothing_is_in_the_middle_the_square_is_the_central_half() -> None:
    assert float(object_sizes(np.full((1, 3, 160, 160), 0.3, np.float32))[0]) == 0.5
    assert float(object_sizes(disc(200))[0]) == 0.5  # sky and disc are one


def test_a_fitted_embedder_sees_the_same_of_an_object_of_any_size() -> None:
    fitted = make_embedder("fitted-morphology")
    assert fitted.parts == {"fitted-morphology": slice(0, 81)}
    near, far = (fitted.embed(disc(radius, 320))[0] for radius in (40, 80))
    whole = make_embedder("morphology")
    apart = np.abs(whole.embed(disc(40, 320)) - whole.embed(disc(80, 320))).sum()
    assert np.abs(near - far).sum() < 0.2 * apart
    np.testing.assert_array_equal(object_squares(disc(40), 80).shape, (1, 3, 80, 80))


def test_a_zoomed_embedder_sees_the_central_half() -> None:
    zoomed, plain = make_embedder("zoom-morphology"), make_embedder("morphology")
    assert zoomed.parts == {"zoom-morphology": slice(0, 81)}
    assert zoomed.input_side == 2 * plain.input_side
    centre = np.ascontiguousarray(IMAGES[:, :, 24:72, 20:60])
    np.testing.assert_array_equal(zoomed.embed(IMAGES), plain.embed(centre))


@pytest.mark.slow
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
