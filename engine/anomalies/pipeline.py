"""The anomaly pipeline: cutouts, embeddings, scores, verdicts for one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.cutouts import Cutout, cutouts_of
from engine.anomalies.embedders import Embedder, make_embedder
from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.preprocessing import embedder_input
from engine.anomalies.reference import Judged, Reference
from engine.anomalies.verdict import artefact_reason, judge_detection, outside_domain
from engine.cards import WEIGHTS, read_card
from engine.frame import Frame
from engine.results import AnomalyResult, CosmicRayResult, Detection, Score, Verdict

DEFAULT_REFERENCE = "anomaly-sim"
COMBINED = "combined"


class AnomalyPipeline:
    """Judges frames against one reference.

    `folder` holds REFERENCE.safetensors and its card. Raises ModelError when they are missing or
    do not fit, or when the embedder's weights are missing.
    """

    name = "anomaly"

    def __init__(
        self,
        policy: AnomalyPolicy | None = None,
        folder: Path = WEIGHTS,
        reference_name: str = DEFAULT_REFERENCE,
        *,
        embedder: Embedder | None = None,
    ) -> None:
        self.policy = policy or AnomalyPolicy()
        self.model_digest = read_card(reference_name, folder).digest
        self.reference = Reference.load(folder / f"{reference_name}.safetensors")
        self.embedder = embedder or make_embedder(self.reference.embedder)

    def run(
        self,
        frame: Frame,
        rng: np.random.Generator,  # noqa: ARG002  nothing here is random
        cosmic_rays: CosmicRayResult | None = None,
    ) -> AnomalyResult:
        """Judge one frame; nothing is random. Raises NotApplicable below 16 px a side."""
        cutouts = cutouts_of(
            frame,
            mode=self.policy.cutout_mode,
            limit=self.policy.max_detections,
            cosmic_rays=cosmic_rays,
        )
        detections: tuple[Detection, ...] = ()
        if cutouts:
            judged = self.reference.judge(self.embedder.embed(embedder_input(cutouts)))
            detections = tuple(
                self._detection(frame.origin.source, cutout, judged, row)
                for row, cutout in enumerate(cutouts)
            )
        return AnomalyResult(detections, self.embedder.name, self.reference.name)

    def _detection(self, source: str, cutout: Cutout, judged: Judged, row: int) -> Detection:
        covered = self.reference.covers(source, cutout.kind)
        scores = scores_of(judged, row, calibrated=covered)
        p_value = float(judged.p_value[row]) if covered else None
        verdict, reason = self._verdict(source, cutout, scores, p_value)
        named = covered and judged.class_names is not None
        return Detection(
            kind=cutout.kind,
            x=cutout.x,
            y=cutout.y,
            size_px=cutout.size_px,
            cutout=cutout.pixels,
            embedding=_row(judged.search_vectors, row),
            scores=scores,
            verdict=verdict,
            reason=reason,
            p_value=p_value,
            flux=cutout.flux,
            snr=cutout.snr,
            ra_deg=cutout.ra_deg,
            dec_deg=cutout.dec_deg,
            cosmic_ray_share=cutout.cosmic_ray_share,
            class_name=judged.class_names[row] if named and judged.class_names else None,
            class_probability=_share(judged, row) if named else None,
        )

    def _verdict(
        self, source: str, cutout: Cutout, scores: tuple[Score, ...], p_value: float | None
    ) -> tuple[Verdict, str]:
        if p_value is not None:
            return judge_detection(
                self.policy,
                scores,
                p_value,
                voters=self.reference.voters,
                cosmic_ray_share=cutout.cosmic_ray_share,
                is_line=cutout.is_line,
            )
        artefact = artefact_reason(self.policy, cutout.cosmic_ray_share, is_line=cutout.is_line)
        if artefact is not None:
            return Verdict.ARTEFACT, artefact
        return Verdict.UNCERTAIN, outside_domain(source, cutout.kind)


def scores_of(judged: Judged, row: int, *, calibrated: bool) -> tuple[Score, ...]:
    """Every method's score of one row, then the combined one; without calibration raw only."""
    percentile = {**judged.percentile, COMBINED: judged.percentile_combined}
    p_values = {**judged.p_values, COMBINED: judged.p_value}
    raw = {**judged.raw, COMBINED: judged.statistic} if calibrated else dict(judged.raw)
    return tuple(
        Score(
            method,
            float(values[row]),
            float(percentile[method][row]) if calibrated else None,
            float(p_values[method][row]) if calibrated else None,
        )
        for method, values in raw.items()
    )


def _row(vectors: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(vectors[row])


def _share(judged: Judged, row: int) -> float | None:
    if judged.class_probabilities is None:
        return None
    return float(judged.class_probabilities[row])
