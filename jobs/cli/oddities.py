"""Anomalies at both ends of a link: what to send first, and what may be judged of what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.cli.output import progress

if TYPE_CHECKING:
    from engine.anomalies.pipeline import AnomalyPipeline
    from engine.codec.decoding import Decoded
    from engine.codec.worth import Region
    from engine.frame import Frame
    from engine.results import AnomalyResult

CANDIDATE_P = 0.05


class Oddities:
    """The anomaly pipeline with the reference that was fitted on a source, else the shipped one."""

    def __init__(self, source: str) -> None:
        from engine.anomalies.pipeline import AnomalyPipeline
        from jobs.plan import find_reference
        from jobs.settings import load_settings

        folder, name = find_reference(load_settings().home / "references", source)
        self.source = source
        self.pipeline: AnomalyPipeline = AnomalyPipeline(folder=folder, reference_name=name)

    def worth_sending(self, frame: Frame) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
        """Every cutout with its value, and those to send first."""
        from engine.codec.worth import ODD_P, anomalous_regions

        result = self._run(frame)
        found = result.detections
        if found and all(detection.p_value is None for detection in found):
            progress(f"{frame.origin.object_id}: no cutout goes first, {found[0].reason}")
        return anomalous_regions(result), anomalous_regions(result, most_p=ODD_P)

    def found(self, decoded: Decoded, name: str) -> dict[str, Any]:
        """Anomalies of a received frame, judged only where it arrived refined."""
        import numpy as np

        from engine.codec.judging import judged_where_refined, with_noise
        from engine.frame import Origin

        result = self._run(with_noise(decoded, Origin(self.source, name)))
        refined = np.zeros_like(decoded.valid) if decoded.refined is None else decoded.refined
        detections = judged_where_refined(result, refined).detections
        judged = [found for found in detections if found.p_value is not None]
        odd = sorted(
            (found.p_value, round(found.y, 1), round(found.x, 1), found.size_px)
            for found in judged
            if found.p_value is not None and found.p_value <= CANDIDATE_P
        )
        return {
            "anomalies": [{"p_value": p, "y": y, "x": x, "size_px": size} for p, y, x, size in odd],
            "judged": len(judged),
            "not_judged": len(detections) - len(judged),
        }

    def _run(self, frame: Frame) -> AnomalyResult:
        from engine.policy import generator_for

        return self.pipeline.run(frame, generator_for(frame.digest, 0))
