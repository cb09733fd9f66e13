"""Simulated normals and anomalies, matched with their truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.anomalies.cutouts import Cutout
from engine.anomalies.embedders import Embedder
from engine.anomalies.evaluation import evaluate
from engine.anomalies.fitting import fit_reference
from engine.anomalies.images import embed_cutouts
from engine.anomalies.simulated import (
    ANOMALY,
    NORMAL,
    UNCLEAR,
    TruthMatch,
    cleaned_by_truth,
    collect,
    held_out_frames,
    injected_frames,
    match_truth,
    normals_of,
    reference_frames,
)
from engine.sky import SkyObject, Truth, simulated_night

EMPTY = np.zeros((64, 64), np.bool_)
STAR = SkyObject("star", 20, 20, 2.0, 500)
GALAXY = SkyObject("spiral", 22, 20, 5.0, 9000)
RING = SkyObject("ring", 40, 40, 5.0, 9000, is_anomaly=True)
TRUTH = Truth(EMPTY, EMPTY, (STAR, GALAXY, RING))


def at(x: float, y: float, size_px: int = 24) -> Cutout:
    pixels = np.zeros((size_px, size_px), np.float32)
    return Cutout("source", x, y, size_px, pixels, 0.0, 1.0, 1.0, stretched=False)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (21, 20, TruthMatch(NORMAL, "spiral")),
        (41, 39, TruthMatch(ANOMALY, "ring")),
        (47, 40, TruthMatch(UNCLEAR, None)),
        (5, 60, TruthMatch(UNCLEAR, None)),
    ],
)
def test_detections_are_matched_with_the_brightest_object_there(
    x: float, y: float, expected: TruthMatch
) -> None:
    assert match_truth(at(x, y), TRUTH) == expected


def test_a_detection_on_an_artefact_is_unclear() -> None:
    spoiled = EMPTY.copy()
    spoiled[:, 21] = True
    assert match_truth(at(21, 20), replace(TRUTH, artefacts=spoiled)).status == UNCLEAR


def test_reference_held_out_and_injected_frames_share_nothing() -> None:
    digests = [
        [simulated.frame.digest for simulated in frames]
        for frames in (
            reference_frames(3, size=64),
            held_out_frames(3, size=64),
            injected_frames(3, 0, size=64),
            injected_frames(3, 1, size=64),
        )
    ]
    assert len({digest for group in digests for digest in group}) == 12
    assert digests[2] == [s.frame.digest for s in injected_frames(3, 0, size=64)]


@pytest.mark.slow
def test_anomalies_never_reach_the_fit_and_are_found_afterwards(tiny: Embedder) -> None:
    def sample(frames):  # type: ignore[no-untyped-def]
        return collect(frames, tiny, clean=cleaned_by_truth)

    normal = sample(reference_frames(24))
    normals = normals_of(normal, tiny)
    assert len(normals.features) == len(normal.rows(NORMAL))
    assert set(normals.labels or ()) <= {"star", "elliptical", "spiral", "barred"}
    assert normals.domain == ("sim",)
    reference = fit_reference("small", normals)
    figures = evaluate(reference, sample(held_out_frames(6)), sample(injected_frames(8, 3)))
    assert figures["anomalies"] >= 8
    assert figures["ranking"]["combined"]["roc_auc"] > 0.6
    assert figures["realised_false_positive_rate"]["at_0.05"] < 0.25
    assert set(figures["roc_auc_by_kind"]) <= {"arc", "merger", "ring"}
    with_area = figures["correlation_with"]["combined"]
    assert set(with_area) == {"area", "magnitude", "signal_to_noise"}
    assert all(-1 <= value <= 1 for value in with_area.values())
    assert set(figures["among_like_areas"]) == {"plain", "among_like_areas"}


def test_frames_of_ones_own_are_judged_by_their_sources_and_pictures_whole(tiny: Embedder) -> None:
    frames = [simulated.frame for simulated in simulated_night("own", frames=2, terrain=1)]
    images = embed_cutouts(frames, tiny, clean=lambda _: None)
    assert images.main_kind == "source"
    assert images.kinds.count("image") == 1
    sources = images.of_kind("source")
    assert len(sources.features) == len(sources.keys) == images.kinds.count("source")
    assert set(sources.keys) == {frame.digest for frame in frames[:2]}
