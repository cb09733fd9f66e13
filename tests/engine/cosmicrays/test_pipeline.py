"""The pipeline: what it applies to, what it leaves alone, and that it repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cards import read_card, write_card
from engine.cosmicrays.conformal import MissCalibration, conformal_threshold
from engine.cosmicrays.maps import evidence_maps
from engine.cosmicrays.pipeline import CosmicRayPipeline, temperature_of
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.cosmicrays.scaling import NoiseScale, read_noise_floor
from engine.cosmicrays.variational import build_unet
from engine.cosmicrays.weights import save_members
from engine.errors import CalibrationError, ModelError, NotApplicable
from engine.frame import Frame, Origin, Pixels

MakeFrame = Callable[..., Frame]
HIDDEN = 4


@pytest.fixture
def pipeline(tiny_weights: Path) -> CosmicRayPipeline:
    return CosmicRayPipeline(
        CosmicRayPolicy(method="vi", views=1, samples=3, threshold=0.3), tiny_weights
    )


def test_maps_have_the_frame_shape_and_bounds(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    result = pipeline.run(make_frame(noise), np.random.default_rng(0))
    assert result.probability.shape == result.mask.shape == noise.shape
    assert ((result.probability >= 0) & (result.probability <= 1)).all()
    assert (result.mutual_information <= result.predictive_entropy).all()
    assert np.array_equal(result.mask, result.probability > 0.3)
    assert (result.samples, result.method) == (3, "vi")


def test_the_same_generator_gives_the_same_bits(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    frame = make_frame(noise)
    first = pipeline.run(frame, np.random.default_rng(9))
    again = pipeline.run(frame, np.random.default_rng(9))
    other = pipeline.run(frame, np.random.default_rng(10))
    assert np.array_equal(first.probability, again.probability)
    assert np.array_equal(first.cleaned, again.cleaned)
    assert not np.array_equal(first.probability, other.probability)


def test_unit_and_level_do_not_matter(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    electrons = pipeline.run(make_frame(noise), np.random.default_rng(0))
    counts = pipeline.run(make_frame(noise / 4 + 1000), np.random.default_rng(0))
    np.testing.assert_allclose(electrons.probability, counts.probability, atol=2e-3)


def test_bad_pixels_are_never_flagged(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    holed = noise.copy()
    holed[10:30, 20:40] = np.nan
    holed[50, 3] = np.inf
    result = pipeline.run(make_frame(holed), np.random.default_rng(0))
    bad = ~np.isfinite(holed)
    assert not result.mask[bad].any()
    assert (result.probability[bad] == 0).all()
    assert np.isfinite(result.probability).all()
    assert np.isfinite(result.cleaned[~bad]).all()
    assert np.array_equal(np.isnan(result.cleaned), np.isnan(holed))


def test_the_value_under_a_mask_changes_nothing(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    mask = np.zeros(noise.shape, bool)
    mask[20:25, 20:25] = True
    spoiled = np.where(mask, np.float32(1e6), noise)
    left = pipeline.run(make_frame(noise, mask=mask), np.random.default_rng(0))
    right = pipeline.run(make_frame(spoiled, mask=mask), np.random.default_rng(0))
    assert np.array_equal(left.probability, right.probability)


@pytest.mark.parametrize("level", [65_535.0, 3e38, -3e38])
def test_saturated_regions_stay_finite(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels, level: float
) -> None:
    saturated = noise.copy()
    saturated[30:40, :] = level
    result = pipeline.run(make_frame(saturated), np.random.default_rng(0))
    for plane in (result.probability, result.mutual_information, result.cleaned):
        assert np.isfinite(plane).all()


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.arange(400, dtype=np.uint8).reshape(20, 20), "8-bit samples"),
        (np.random.default_rng(0).normal(size=(3, 20, 20)), "has 3 planes"),
        (np.random.default_rng(0).normal(size=(15, 400)), "too small"),
        (np.random.default_rng(0).normal(size=(1, 1)), "too small"),
        (np.full((20, 20), 7.0), "this frame has none"),
    ],
)
def test_what_it_does_not_apply_to(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, pixels: np.ndarray, reason: str
) -> None:
    with pytest.raises(NotApplicable, match=reason):
        pipeline.run(make_frame(pixels), np.random.default_rng(0))


def test_a_single_plane_of_a_cube_is_a_frame(
    pipeline: CosmicRayPipeline, make_frame: MakeFrame, noise: Pixels
) -> None:
    flat = pipeline.run(make_frame(noise), np.random.default_rng(0))
    cube = pipeline.run(make_frame(noise[None]), np.random.default_rng(0))
    assert np.array_equal(flat.probability, cube.probability)


def test_the_plain_network_is_one_sample(
    tiny_weights: Path, make_frame: MakeFrame, noise: Pixels
) -> None:
    pipeline = CosmicRayPipeline(CosmicRayPolicy(method="unet", views=1, samples=8), tiny_weights)
    result = pipeline.run(make_frame(noise), np.random.default_rng(0))
    assert (result.samples, result.method) == (1, "unet")
    assert (result.mutual_information < 1e-6).all()


def test_the_model_is_keyed_by_its_weights(tiny_weights: Path) -> None:
    vi = CosmicRayPipeline(CosmicRayPolicy(method="vi", views=1), tiny_weights)
    unet = CosmicRayPipeline(CosmicRayPolicy(method="unet", views=1), tiny_weights)
    assert vi.model_digest != unet.model_digest
    assert len(vi.model_digest) == 64


def test_weights_of_another_shape_are_refused(tiny_weights: Path) -> None:
    card = tiny_weights / "cosmicrays-vi.json"
    card.write_text(card.read_text().replace('"hidden": 4', '"hidden": 8'))
    with pytest.raises(ModelError, match="do not fit its card"):
        CosmicRayPipeline(CosmicRayPolicy(method="vi"), tiny_weights)


@pytest.mark.parametrize(
    ("choice", "match"),
    [({"method": "magic"}, "one of"), ({"samples": 0}, "samples >= 1"), ({"threshold": 1.0}, "in")],
)
def test_a_policy_without_meaning_is_refused(choice: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        CosmicRayPolicy(**choice)  # type: ignore[arg-type]


def test_policies_differ_by_their_seed() -> None:
    assert CosmicRayPolicy(seed=1).digest != CosmicRayPolicy().digest
    assert CosmicRayPolicy().as_dict()["pipeline"] == "cosmicrays"


@pytest.mark.parametrize("method", ["vi", "unet"])
def test_shipped_networks_find_bright_hits_and_spare_stars(
    make_frame: MakeFrame, method: str
) -> None:
    rng = np.random.default_rng(21)
    y, x = np.mgrid[:96, :96]
    star = 4000 * np.exp(-((x - 60) ** 2 + (y - 60) ** 2) / (2 * 1.3**2))
    pixels = (rng.poisson(100 + star) + rng.normal(0, 5, star.shape)).astype(np.float32)
    track = (np.arange(20, 28), 30 + np.arange(8) // 2)
    pixels[track] += 900
    policy = CosmicRayPolicy(method=method, views=1, samples=4)  # type: ignore[arg-type]
    result = CosmicRayPipeline(policy).run(make_frame(pixels), rng)
    assert result.mask[track].all()
    assert not result.mask[56:65, 56:65].any()
    assert abs(result.cleaned[track].mean() - 100) < 15
    assert result.mask.mean() < 0.01


def test_runs_of_the_first_release_keep_their_key() -> None:
    """Choices that came later stay out of the digest where they say how it was."""
    first = "66f5bb3b9d260533c177f90cf76ed69102e3c2ed24132efcdaab36c4f5094fbb"
    kept = CosmicRayPolicy(method="vi", views=1, fill="median")
    assert kept.digest == first
    later = [
        replace(kept, **choice)  # type: ignore[arg-type]
        for choice in (
            {"views": 8},
            {"precision": "bfloat16"},
            {"miss_rate": 0.1},
            {"method": "unet"},
        )
    ]
    assert len({policy.digest for policy in later} | {first}) == 5
    assert replace(kept, fill="smooth").digest != first


def test_eight_views_of_one_network_disagree(
    tiny_weights: Path, make_frame: MakeFrame, noise: Pixels
) -> None:
    policy = CosmicRayPolicy(method="unet", views=8, threshold=0.3)
    result = CosmicRayPipeline(policy, tiny_weights).run(
        make_frame(noise), np.random.default_rng(0)
    )
    assert (result.samples, result.method) == (8, "unet_8_views")
    assert result.mutual_information.max() > 1e-6


def test_members_of_an_ensemble_are_passes(
    tiny_weights: Path, make_frame: MakeFrame, noise: Pixels
) -> None:
    torch.manual_seed(0)
    members = [build_unet(HIDDEN).eval() for _ in range(3)]
    digest = save_members(members, tiny_weights / "cosmicrays-ensemble.safetensors")
    plain = read_card("cosmicrays-unet", tiny_weights)
    architecture = {"hidden": HIDDEN, "bayesian": False, "members": 3}
    card = replace(plain, name="cosmicrays-ensemble", digest=digest, architecture=architecture)
    write_card(tiny_weights, card)
    pipeline = CosmicRayPipeline(CosmicRayPolicy(method="ensemble", views=1), tiny_weights)
    result = pipeline.run(make_frame(noise), np.random.default_rng(0))
    singles = [
        evidence_maps((net,), NoiseScale.of(noise).apply(noise)).probability for net in members
    ]
    assert (result.samples, result.method) == (3, "ensemble")
    np.testing.assert_allclose(result.probability, np.mean(singles, axis=0), atol=1e-6)


def test_each_method_has_its_own_temperature_and_miss_rate(tiny_weights: Path) -> None:
    hits = [np.linspace(0.2, 1, 9, dtype=np.float32)] * 40
    card = read_card("cosmicrays-unet", tiny_weights)
    calibration = {
        "temperature": 2.0,
        "temperatures": {"unet_8_views": 3.0},
        "miss_rate": {"unet_8_views": MissCalibration.of(hits, ["sim"]).as_dict()},
    }
    write_card(tiny_weights, replace(card, calibration=calibration))
    assert temperature_of(read_card("cosmicrays-unet", tiny_weights), "unet") == 2.0
    assert temperature_of(read_card("cosmicrays-unet", tiny_weights), "unet_8_views") == 3.0
    viewed = CosmicRayPolicy(method="unet", views=8, miss_rate=0.2)
    assert CosmicRayPipeline(viewed, tiny_weights).threshold == conformal_threshold(hits, 0.2)
    with pytest.raises(CalibrationError, match="no calibration of missed pixels for unet:"):
        CosmicRayPipeline(replace(viewed, views=1), tiny_weights)


def test_coarse_counts_have_at_least_the_read_noise() -> None:
    counts = np.random.default_rng(0).choice([100, 101], (64, 64), p=[0.9, 0.1])
    pixels = counts.astype(np.float32)
    assert NoiseScale.of(pixels, None, floor=0.5) == NoiseScale(100, 0.5)
    with pytest.raises(NotApplicable, match="has none"):
        NoiseScale.of(np.full((8, 8), 100, np.float32), None, floor=0.5)


@pytest.mark.parametrize(
    ("unit", "facts", "floor"),
    [
        ("electron", {}, 5.0),
        ("adu", {"gain_e_per_adu": 2.0}, 2.5),
        ("electron/s", {"exposure_s": 100.0}, 0.05),
        ("adu/s", {"gain_e_per_adu": 2.0, "exposure_s": 10.0}, 0.25),
        ("adu", {}, 0.0),
        ("electron/s", {}, 0.0),
        ("", {}, 0.0),
    ],
)
def test_read_noise_in_the_unit_of_the_frame(
    unit: str, facts: dict[str, float], floor: float
) -> None:
    origin = Origin("test", "one", read_noise_e=5.0, **facts)
    assert read_noise_floor(unit, origin) == pytest.approx(floor)
