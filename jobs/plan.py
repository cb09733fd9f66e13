"""The plan of a cycle: which model runs with which policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from engine.anomalies.policy import AnomalyPolicy
from engine.cards import WEIGHTS, ModelCard, read_card
from engine.codec.policy import CodecPolicy
from engine.cosmicrays.choices import fitting_views
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.policy import Policy
from jobs.settings import Settings

PIPELINES = ("cosmicrays", "anomaly", "codec")
HEAD_CARD = "anomaly-artefacts"


P = TypeVar("P", bound=Policy, covariant=True)


@dataclass(frozen=True)
class Choice(Generic[P]):
    """One pipeline's model card and policy, and the folder that the weights lie in."""

    card: ModelCard
    policy: P
    folder: Path

    @property
    def pipeline(self) -> str:
        return self.card.pipeline


@dataclass(frozen=True)
class Plan:
    """The choices for the three pipelines, in the order they run."""

    cosmicrays: Choice[CosmicRayPolicy]
    anomaly: Choice[AnomalyPolicy]
    codec: Choice[CodecPolicy]

    @property
    def choices(self) -> tuple[Choice[Policy], ...]:
        return (self.cosmicrays, self.anomaly, self.codec)


def make_plan(settings: Settings, source: str, *, aggressive: bool = False) -> Plan:
    """Choose models and policies for a source. Raises ModelError where weights are missing.

    `aggressive` is another stated false-positive rate, never a bar that sinks.
    """
    candidate_rate = settings.aggressive_rate if aggressive else settings.false_positive_rate
    reference_folder, reference = find_reference(settings.home / "references", source)
    return Plan(
        cosmicrays=Choice(
            read_card(f"cosmicrays-{settings.cosmic_ray_method}"),
            CosmicRayPolicy(
                method=settings.cosmic_ray_method,
                samples=settings.cosmic_ray_samples,
                threshold=settings.cosmic_ray_threshold,
                views=settings.cosmic_ray_views or fitting_views(settings.cosmic_ray_method),
                fill=settings.cosmic_ray_fill,
                seed=settings.seed,
            ),
            WEIGHTS,
        ),
        anomaly=Choice(
            read_card(reference, reference_folder),
            AnomalyPolicy(
                false_positive_rate=candidate_rate,
                near_miss_rate=max(settings.near_miss_rate, candidate_rate),
                max_detections=settings.max_detections,
                artefact_head=artefact_head(),
                seed=settings.seed,
            ),
            reference_folder,
        ),
        codec=Choice(
            read_card("codec"),
            CodecPolicy(bpp=settings.codec_bpp, samples=settings.codec_samples, seed=settings.seed),
            WEIGHTS,
        ),
    )


def artefact_head() -> str:
    """The digest of the artefact head that is installed, "" where there is none."""
    if not (WEIGHTS / f"{HEAD_CARD}.safetensors").is_file():
        return ""
    return read_card(HEAD_CARD).digest


def find_reference(folder: Path, source: str) -> tuple[Path, str]:
    """The newest reference fitted on this very source where there is one, else the shipped one."""
    cards = [read_card(path.stem, folder) for path in sorted(folder.glob("*.json"))]
    own = [card for card in cards if source in card.architecture.get("domain", ())]
    if own:
        return folder, max(own, key=lambda card: (card.trained_at, version_of(card.name))).name
    return WEIGHTS, "anomaly-sim"


def version_of(name: str) -> int:
    """3 of "reference-v3", 0 of a name without a version."""
    number = name.rpartition("-v")[2]
    return int(number) if number.isdecimal() else 0
