"""One frame through the whole pipeline, with a tiny reference and with the shipped one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.anomalies.artefacts.head import ArtefactHead
from engine.anomalies.embedders import Embedder
from engine.anomalies.pipeline import AnomalyPipeline
from engine.anomalies.policy import DEFAULT_LIMIT, AnomalyPolicy
from engine.anomalies.simulated import (
    ANOMALY,
    NORMAL,
    cleaned_by_truth,
    injected_frames,
    match_truth,
    replaced_by_median,
)
from engine.errors import ModelError, NotApplicable
from engine.frame import Frame, Origin
from engine.metrics.ranking import roc_auc
from engine.results import CosmicRayResult, Verdict
from engine.sky import simulated_frame, simulated_rover_frame

RNG = np.random.default_rng(0)
FRAME = simulated_frame("pipeline-test", 0).frame


@pytest.fixture(scope="module")
def pipeline(reference_folder: Path, tiny: Embedder) -> AnomalyPipeline:
    return AnomalyPipeline(folder=reference_folder, reference_name="tiny-reference", embedder=tiny)


def test_every_detection_is_complete_and_says_why(pipeline: AnomalyPipeline) -> None:
    result = pipeline.run(FRAME, RNG)
    assert (result.embedder, result.reference) == ("tiny", "tiny-reference")
    assert 8 < len(result.detections) <= DEFAULT_LIMIT
    assert [d.snr for d in result.detections] == sorted(d.snr for d in result.detections)[::-1]
    for detection in result.detections:
        assert detection.reason
        assert detection.kind == "source"
        assert detection.class_name in ("star", "spiral")
        assert 0.5 <= detection.class_probability <= 1
        assert 0 < detection.p_value <= 1
        assert detection.cutout.shape == (detection.size_px, detection.size_px)
        assert detection.embedding.dtype == np.float32
        assert [score.method for score in detection.scores][-1] == "combined"
        for score in detection.scores:
            assert 0 <= score.percentile <= 100
            assert 0 < score.p_value <= 1
        assert detection.scores[-1].p_value == detection.p_value
        assert detection.rank == detection.scores[-1].raw  # no head in this policy
        assert detection.evidence is not None
        assert 0 < detection.evidence.conditioned_p_value <= 1


@pytest.mark.slow
def test_the_rank_is_the_score_times_the_trust_where_the_head_decides() -> None:
    head = ArtefactHead.load()
    knowing = AnomalyPipeline(AnomalyPolicy(artefact_head=head.digest))
    for found in knowing.run(FRAME, RNG).detections:
        assert found.evidence is not None
        trust = 1 - found.evidence.artefact_probability
        assert found.rank == pytest.approx(found.scores[-1].raw * trust)
    elsewhere = replace(FRAME, origin=replace(FRAME.origin, source="folder:/images"))
    assert {found.rank for found in knowing.run(elsewhere, RNG).detections} == {None}


@pytest.mark.slow
def test_the_same_frame_gives_the_same_result(pipeline: AnomalyPipeline) -> None:
    first = pipeline.run(FRAME, np.random.default_rng(1)).detections
    second = pipeline.run(FRAME, np.random.default_rng(2)).detections
    assert [d.scores for d in first] == [d.scores for d in second]
    assert [d.verdict for d in first] == [d.verdict for d in second]


@pytest.mark.parametrize(
    "frame",
    [
        Frame.of(FRAME.pixels.copy(), Origin("ztf:tonight", "x")),
        simulated_rover_frame("pipeline-test", 0).frame,
    ],
    ids=["another survey", "a picture of the same source"],
)
def test_outside_the_domain_there_is_no_p_value_and_no_candidate(
    pipeline: AnomalyPipeline, frame: Frame
) -> None:
    for detection in pipeline.run(frame, RNG).detections:
        assert detection.verdict is Verdict.UNCERTAIN
        assert "no calibrated reference for" in detection.reason
        assert frame.origin.source in detection.reason
        assert detection.p_value is None
        assert detection.class_name is None
        assert {(s.percentile, s.p_value) for s in detection.scores} == {(None, None)}
        assert all(np.isfinite(score.raw) for score in detection.scores)


@pytest.mark.slow
def test_light_on_cosmic_rays_is_an_artefact(pipeline: AnomalyPipeline) -> None:
    flat = np.zeros((256, 256), np.float32)
    everywhere = np.ones((256, 256), np.bool_)
    struck = CosmicRayResult(flat, flat, flat, flat, everywhere, FRAME.pixels, 0.5, 1, "test")
    for detection in pipeline.run(FRAME, RNG, struck).detections:
        assert detection.cosmic_ray_share == pytest.approx(1.0)
        assert detection.verdict is Verdict.ARTEFACT


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_an_empty_sky_has_no_detections(pipeline: AnomalyPipeline, value: float) -> None:
    blank = Frame.of(np.full((64, 64), value, np.float32), Origin("sim:blank", "x"))
    assert pipeline.run(blank, RNG).detections == ()


def test_a_black_picture_is_still_judged(reference_folder: Path, tiny: Embedder) -> None:
    policy = AnomalyPolicy(cutout_mode="image")
    pipeline = AnomalyPipeline(policy, reference_folder, "tiny-reference", embedder=tiny)
    black = Frame.of(np.zeros((64, 64), np.uint8), Origin("sim:blank", "x"))
    (detection,) = pipeline.run(black, RNG).detections
    assert (detection.kind, detection.size_px) == ("image", 64)


def test_a_frame_too_small_is_not_applicable(pipeline: AnomalyPipeline) -> None:
    with pytest.raises(NotApplicable, match="at least 16 px"):
        pipeline.run(Frame.of(np.ones((5, 5), np.float32), Origin("sim:x", "x")), RNG)


def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'mine'"):
        AnomalyPipeline(folder=tmp_path, reference_name="mine")


@pytest.mark.slow
def test_a_saturated_star_does_not_stall_deblending(pipeline: AnomalyPipeline) -> None:
    pixels = FRAME.pixels.copy()
    pixels[100:130, 60:90] = 60_000
    pixels[105:125, 98:118] = 60_000
    found = pipeline.run(Frame.of(pixels, Origin("sim:x", "x")), RNG).detections
    assert (found[0].x, found[0].y) == pytest.approx((74.5, 114.5), abs=0.1)


@pytest.mark.slow
def test_the_shipped_reference_ranks_injected_anomalies_above_normals() -> None:
    pipeline = AnomalyPipeline()
    found: dict[str, list[float]] = {ANOMALY: [], NORMAL: []}
    for simulated in injected_frames(4, seed=77):
        result = pipeline.run(simulated.frame, RNG, cleaned_by_truth(simulated))
        for detection in result.detections:
            status = match_truth(detection, simulated.truth).status
            found.setdefault(status, []).append(detection.p_value)
    odd, plain = (1 - np.array(found[status]) for status in (ANOMALY, NORMAL))
    assert len(odd) >= 4
    assert np.median(1 - odd) < 0.05
    assert roc_auc(plain, odd) > 0.75


def test_struck_pixels_take_the_median_of_their_good_neighbours() -> None:
    pixels = np.full((9, 9), 3, np.float32)
    struck = np.zeros((9, 9), np.bool_)
    struck[4, 4:6] = True
    pixels[struck] = 500
    np.testing.assert_array_equal(replaced_by_median(pixels, struck), np.full((9, 9), 3))
