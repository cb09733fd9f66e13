"""Versions of a frame, sources on several planes, preprocessing, heat map and drift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.cutouts import cutouts_of, on_version
from engine.anomalies.drift import measure_drift
from engine.anomalies.embedders.hosted import HostedEmbedder
from engine.anomalies.evidence import is_found, magnitude, versions_of
from engine.anomalies.heatmap import HeatMap
from engine.anomalies.preprocessing import PREPROCESSING_DIGEST, Preprocessing, embedder_input
from engine.cards import ModelCard, file_digest, write_card
from engine.errors import CalibrationError, ModelError
from engine.frame import Frame, Origin
from engine.results import CosmicRayResult

ORIGIN = Origin("sim:x", "x")


def starry(planes: tuple[float, ...] = (1.0,), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    star = 400 * np.exp(-((x - 40) ** 2 + (y - 50) ** 2) / 8)
    return np.stack([100 + share * star + rng.normal(0, 4, (96, 96)) for share in planes])


def cleaned(pixels: np.ndarray, mask: np.ndarray) -> CosmicRayResult:
    flat = np.zeros(mask.shape, np.float32)
    return CosmicRayResult(flat, flat, flat, flat, mask, pixels.astype(np.float32), 0.5, 1, "t")


def test_a_hit_is_kept_as_a_source_that_vanishes() -> None:
    clean = starry()[0].astype(np.float32)
    dirty, hits = clean.copy(), np.zeros((96, 96), np.bool_)
    hits[70:75, 20:25] = True
    dirty[hits] += 900
    frame, rays = Frame.of(dirty, ORIGIN), cleaned(clean, hits)
    assert len(cutouts_of(frame, cosmic_rays=rays)) == 1
    star, hit = cutouts_of(frame, cosmic_rays=rays, vanished=4)
    assert (star.vanishes, hit.vanishes) == (False, True)
    assert (round(hit.x), round(hit.y)) == (22, 72)
    assert hit.cosmic_ray_share == pytest.approx(1, abs=0.35)
    raw, without, decoded = versions_of(frame, hit, rays, dirty)
    assert [v.name for v in (raw, without, decoded)] == ["raw", "cleaned", "decoded"]
    assert (is_found(raw.cutout), is_found(without.cutout)) == (True, False)
    assert (raw.main, without.main) == (True, False)


def test_a_version_with_the_same_pixels_is_not_embedded_again() -> None:
    pixels = starry()[0].astype(np.float32)
    frame = Frame.of(pixels, ORIGIN)
    (star,) = cutouts_of(frame)
    (raw,) = versions_of(frame, star, None, None)
    assert raw.main
    assert raw.cutout is star
    fainter = on_version(star, (pixels - 100) * 0.5 + 100, frame.mask)
    assert fainter.flux == pytest.approx(0.5 * star.flux, rel=0.02)


def test_three_planes_are_one_source_and_keep_their_ratio() -> None:
    frame = Frame.of(starry((1.0, 0.3, 0.0)).astype(np.float32), ORIGIN)
    (source,) = cutouts_of(frame, mode="sources")
    assert source.pixels.shape == (3, source.size_px, source.size_px)
    assert source.planes is not None
    np.testing.assert_allclose(source.planes.noise, 4, rtol=0.15)
    image = embedder_input([source])[0]
    middle = image[:, 80, 80]
    assert middle[0] > middle[1] > middle[2]


def test_edges_and_masks_lower_the_good_share() -> None:
    pixels = starry()[0].astype(np.float32)
    whole = cutouts_of(Frame.of(pixels, ORIGIN))[0]
    cut = cutouts_of(Frame.of(pixels[:, 36:].copy(), ORIGIN))[0]
    assert whole.good_share == 1
    assert cut.good_share < 0.8
    assert cut.edge_px == pytest.approx(4, abs=0.5)


def test_the_preprocessing_says_what_it_does_and_its_digest_follows() -> None:
    assert Preprocessing().digest() == PREPROCESSING_DIGEST
    rules = [Preprocessing(), Preprocessing("zscale"), Preprocessing(denoise=0.1),
             Preprocessing(clahe=True)]  # fmt: skip
    assert len({rule.digest() for rule in rules}) == 4
    assert "zscale" in rules[1].text()
    assert "asinh" not in rules[1].text()
    (star,) = cutouts_of(Frame.of(starry()[0].astype(np.float32), ORIGIN))
    for rule in rules:
        shown = rule.apply(star)
        assert shown.shape == star.pixels.shape
        assert 0 <= shown.min() <= shown.max() <= 1
    quiet = rules[2].apply(star)[:6].std()
    assert quiet < rules[0].apply(star)[:6].std()
    with pytest.raises(ValueError, match="stretch must be asinh or zscale"):
        Preprocessing("sqrt")


def test_magnitudes_by_hand() -> None:
    assert magnitude(100.0) == pytest.approx(-5)
    assert magnitude(0.0) is None
    assert magnitude(None) is None


def test_a_heat_map_is_low_on_normals_and_high_on_what_they_never_showed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(152, 152)))[0]
    normal = rng.normal(size=(30, 4, 4, 20)) @ basis[:20] + 0.01 * rng.normal(size=(30, 4, 4, 152))
    fitted = HeatMap.fit(normal.astype(np.float32))
    odd = normal[:1].astype(np.float32)
    odd[0, 2, 3] += 5 * basis[140].astype(np.float32)
    heat = fitted.residual(odd)[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == (2, 3)
    assert heat.max() > 20 * fitted.high
    path = tmp_path / "anomaly-heatmap.safetensors"
    fitted.save(path)
    write_card(
        tmp_path,
        ModelCard("anomaly-heatmap", "anomaly", file_digest(path), "", {}, "", 0, "", "CPU", ""),
    )
    np.testing.assert_array_equal(HeatMap.load(tmp_path).residual(odd)[0], heat)
    with pytest.raises(CalibrationError, match="at least 200 normal patches"):
        HeatMap.fit(normal[:1].astype(np.float32))


def test_drift_needs_enough_detections_and_shows_in_the_median() -> None:
    rng = np.random.default_rng(0)
    uniform = rng.uniform(0, 100, 300)
    held = measure_drift({"combined": uniform, "knn": uniform})
    assert not held.expired
    assert held.median_percentile == pytest.approx(50, abs=8)
    shifted = measure_drift({"combined": 100 * rng.uniform(0, 1, 300) ** 0.3, "knn": uniform})
    assert shifted.expired
    assert shifted.most_shifted == "combined"
    assert "instead of 50" in shifted.reason
    few = measure_drift({"combined": uniform[:59]})
    assert (few.expired, few.median_percentile) == (False, None)


def test_drift_shows_when_a_classifier_tells_new_from_old() -> None:
    rng = np.random.default_rng(1)
    uniform = {"combined": rng.uniform(0, 100, 200)}
    old = rng.normal(size=(80, 6)).astype(np.float32)
    same = measure_drift(uniform, first=old, newest=rng.normal(size=(80, 6)).astype(np.float32))
    assert not same.expired
    assert same.domain_auc is not None
    moved = measure_drift(uniform, first=old, newest=old + np.float32(3))
    assert moved.expired
    assert moved.domain_auc == pytest.approx(1, abs=0.01)


def test_a_hosted_embedder_sends_pictures_and_checks_what_comes() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (2, 3, 8, 8)).astype(np.float32)
    sent: list[dict[str, object]] = []

    def send(document: dict[str, object]) -> object:
        sent.append(document)
        return {"predictions": [{"imageEmbedding": [1.0, 2.0, 3.0]}]}

    embedder = HostedEmbedder(send, 3)
    np.testing.assert_array_equal(embedder.embed(images), [[1, 2, 3]] * 2)
    assert embedder.calls == 2
    assert sent[0]["parameters"] == {"dimension": 3}
    assert embedder.embed(images[:0]).shape == (0, 3)
    with pytest.raises(ModelError, match="must answer 4 finite numbers"):
        HostedEmbedder(send, 4).embed(images)
    with pytest.raises(ModelError, match=r"without predictions\[0\]"):
        HostedEmbedder(lambda _: {"error": "no"}, 3).embed(images)
