"""The anomaly pipeline: cutouts, embeddings, scores, verdicts for one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.anomalies.artefacts.features import feature_table
from engine.anomalies.artefacts.head import ArtefactHead
from engine.anomalies.cutouts import Cutout, areas_of, cutouts_of
from engine.anomalies.embedders import Embedder, make_embedder
from engine.anomalies.embedders.base import Images
from engine.anomalies.evidence import (
    Version,
    hashes,
    is_found,
    magnitude,
    versions_of,
    why_artefact,
)
from engine.anomalies.heatmap import HEAT_NAME, HeatMap
from engine.anomalies.policy import AnomalyPolicy
from engine.anomalies.preprocessing import (
    DEFAULT_PREPROCESSING,
    Preprocessing,
    embedder_input,
)
from engine.anomalies.reference import Judged, Reference
from engine.anomalies.verdict import judge_detection, outside_domain
from engine.cards import WEIGHTS, read_card
from engine.errors import ModelError
from engine.frame import Frame, Pixels
from engine.results import (
    AnomalyResult,
    CosmicRayResult,
    Detection,
    Evidence,
    Score,
    Verdict,
    VersionScores,
)

DEFAULT_REFERENCE = "anomaly-sim"
COMBINED = "combined"


@dataclass(frozen=True)
class ArtefactOpinion:
    """What the artefact head says of one detection."""

    probability: float
    kind: str


class AnomalyPipeline:
    """Judges frames against one reference.

    `folder` holds REFERENCE.safetensors and its card; the artefact head that the policy names and
    the heat map lie beside the shipped models. Raises ModelError when the reference, or a head that
    the policy asks for, is missing or does not fit, or when the embedder's weights are missing.
    """

    name = "anomaly"

    def __init__(
        self,
        policy: AnomalyPolicy | None = None,
        folder: Path = WEIGHTS,
        reference_name: str = DEFAULT_REFERENCE,
        *,
        embedder: Embedder | None = None,
        artefacts: ArtefactHead | None = None,
        heat: HeatMap | None = None,
    ) -> None:
        self.policy = policy or AnomalyPolicy()
        self.model_digest = read_card(reference_name, folder).digest
        self.reference = Reference.load(folder / f"{reference_name}.safetensors")
        self.embedder = embedder or make_embedder(self.reference.embedder)
        self.preprocessing = Preprocessing(
            self.policy.stretch, self.policy.denoise, self.policy.clahe
        )
        self.artefacts = artefacts or _head_of(self.policy)
        self.heat = heat or (_heat_map() if embedder is None else None)

    def run(
        self,
        frame: Frame,
        rng: np.random.Generator,  # noqa: ARG002  nothing here is random
        cosmic_rays: CosmicRayResult | None = None,
        decoded: Pixels | None = None,
    ) -> AnomalyResult:
        """Judge one frame; nothing is random.

        With `cosmic_rays` what counts is the cleaned frame, with `decoded`, of the shape of the
        frame's pixels, every detection is scored on what the codec makes of it as well. Raises
        NotApplicable below 16 px a side.
        """
        cutouts = cutouts_of(
            frame,
            mode=self.policy.cutout_mode,
            limit=self.policy.max_detections,
            cosmic_rays=cosmic_rays,
            vanished=self.policy.max_vanished,
        )
        detections: tuple[Detection, ...] = ()
        if cutouts:
            detections = self._judged(frame, cutouts, cosmic_rays, decoded)
        return AnomalyResult(detections, self.embedder.name, self.reference.name)

    def _judged(
        self,
        frame: Frame,
        cutouts: tuple[Cutout, ...],
        cosmic_rays: CosmicRayResult | None,
        decoded: Pixels | None,
    ) -> tuple[Detection, ...]:
        versions = [versions_of(frame, cutout, cosmic_rays, decoded) for cutout in cutouts]
        others = [part.cutout for parts in versions for part in parts if not part.main]
        images = embedder_input(
            [*cutouts, *others], self.preprocessing, side=self.embedder.input_side
        )
        judged = self.reference.judge(
            self.embedder.embed(images),
            [frame.digest] * len(images),
            areas_of([*cutouts, *others]),
        )
        opinions = self._opinions(frame, cutouts, cosmic_rays)
        rows = _rows_of(versions)
        found = [
            self._detection(frame, cutout, judged, row, opinions[row], versions[row], rows[row])
            for row, cutout in enumerate(cutouts)
        ]
        return self._with_heat(found, images)

    def _opinions(
        self, frame: Frame, cutouts: tuple[Cutout, ...], cosmic_rays: CosmicRayResult | None
    ) -> list[ArtefactOpinion | None]:
        """What the artefact head says; None for whole images and several planes."""
        whole = any(cutout.footprint is None for cutout in cutouts)
        if self.artefacts is None or whole or frame.pixels.ndim == 3:
            return [None] * len(cutouts)
        raw = frame.filled()
        image = raw if cosmic_rays is None else cosmic_rays.cleaned
        hits = None if cosmic_rays is None else cosmic_rays.mask
        probability, kinds = self.artefacts.judge(feature_table(frame, image, raw, cutouts, hits))
        return [ArtefactOpinion(float(p), kind) for p, kind in zip(probability, kinds, strict=True)]

    def _detection(
        self,
        frame: Frame,
        cutout: Cutout,
        judged: Judged,
        row: int,
        opinion: ArtefactOpinion | None,
        versions: Sequence[Version],
        version_rows: Sequence[int],
    ) -> Detection:
        source = frame.origin.source
        covered = self._covers(source, cutout.kind)
        scores = scores_of(judged, row, calibrated=covered)
        p_value = float(judged.p_value[row]) if covered else None
        verdict, reason = self._verdict(source, cutout, scores, p_value, opinion)
        named = covered and judged.class_names is not None
        evidence = self._evidence(cutout, judged, row, opinion, covered=covered)
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
            rank=float(judged.statistic[row]) * self._trust(source, opinion) if covered else None,
            evidence=replace(
                evidence,
                versions=tuple(
                    VersionScores(
                        part.name,
                        part.cutout.flux,
                        part.cutout.snr,
                        is_found(part.cutout),
                        scores_of(judged, own, calibrated=covered),
                    )
                    for part, own in zip(versions, version_rows, strict=True)
                ),
            ),
        )

    def _evidence(
        self,
        cutout: Cutout,
        judged: Judged,
        row: int,
        opinion: ArtefactOpinion | None,
        *,
        covered: bool,
    ) -> Evidence:
        several = cutout.planes is not None
        conditioned = judged.conditioned_p_value
        known = covered and conditioned is not None and bool(np.isfinite(conditioned[row]))
        return Evidence(
            perceptual_hash=hashes([cutout])[0],
            preprocessing=self.preprocessing.digest(several_planes=several),
            area_px=cutout.area_px,
            magnitude=magnitude(cutout.flux),
            elongation=cutout.elongation,
            edge_px=cutout.edge_px,
            good_share=cutout.good_share,
            conditioned_p_value=(
                float(conditioned[row]) if known and conditioned is not None else None
            ),
            artefact_probability=None if opinion is None else opinion.probability,
            artefact_kind=None if opinion is None else opinion.kind,
            artefact_model=None if self.artefacts is None else self.artefacts.digest,
            vanishes=cutout.vanishes,
            contributions=tuple(
                (name, float(shares[row])) for name, shares in judged.contributions.items()
            ),
        )

    def _with_heat(self, found: Sequence[Detection], images: Images) -> tuple[Detection, ...]:
        """Add a heat map to what a person will look at: all but normals and artefacts."""
        worth = [
            row
            for row, detection in enumerate(found)
            if detection.verdict not in (Verdict.NORMAL, Verdict.ARTEFACT)
        ]
        if self.heat is None or not worth:
            return tuple(found)
        result = list(found)
        for row, heat in zip(worth, self.heat.maps(images[worth]), strict=True):
            evidence = found[row].evidence
            if evidence is not None:
                result[row] = replace(found[row], evidence=replace(evidence, heat_map=heat))
        return tuple(result)

    def _covers(self, source: str, kind: str) -> bool:
        usual = self.preprocessing == DEFAULT_PREPROCESSING
        return usual and self.reference.covers(source, kind)

    def _trust(self, source: str, opinion: ArtefactOpinion | None) -> float:
        """Probability of being no artefact, 1 where the head has no say."""
        if opinion is None or self.artefacts is None or not self.artefacts.decides(source):
            return 1.0
        return 1.0 - opinion.probability

    def _verdict(
        self,
        source: str,
        cutout: Cutout,
        scores: tuple[Score, ...],
        p_value: float | None,
        opinion: ArtefactOpinion | None,
    ) -> tuple[Verdict, str]:
        head = self.artefacts
        artefact = why_artefact(
            self.policy,
            cutout,
            probability=None if opinion is None else opinion.probability,
            kind=None if opinion is None else opinion.kind,
            threshold=head.threshold if head is not None and head.decides(source) else None,
        )
        if artefact is not None:
            return Verdict.ARTEFACT, artefact
        if p_value is not None:
            return judge_detection(
                self.policy,
                scores,
                p_value,
                voters=self.reference.voters,
                cosmic_ray_share=cutout.cosmic_ray_share,
                is_line=cutout.is_line,
            )
        if self.preprocessing != DEFAULT_PREPROCESSING:
            return Verdict.UNCERTAIN, (
                "no reference was calibrated with this preprocessing: only raw scores hold"
            )
        return Verdict.UNCERTAIN, outside_domain(source, cutout.kind)


def _rows_of(versions: Sequence[Sequence[Version]]) -> list[list[int]]:
    """The row of each version in a batch that begins with the detections themselves."""
    rows, following = [], len(versions)
    for number, parts in enumerate(versions):
        own = []
        for part in parts:
            own.append(number if part.main else following)
            following += not part.main
        rows.append(own)
    return rows


def _head_of(policy: AnomalyPolicy) -> ArtefactHead | None:
    """The artefact head that the policy names by digest. Raises ModelError for another one."""
    if not policy.artefact_head:
        return None
    head = ArtefactHead.load()
    if head.digest != policy.artefact_head:
        raise ModelError(
            f"the policy asks for artefact head {policy.artefact_head[:12]}, and "
            f"{head.digest[:12]} is installed: make the policy anew"
        )
    return head


def _heat_map() -> HeatMap | None:
    return HeatMap.load() if (WEIGHTS / f"{HEAT_NAME}.safetensors").is_file() else None


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
