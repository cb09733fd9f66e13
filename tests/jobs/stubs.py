"""Pipelines that cost nothing and workers that are this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from db.cycles import begin_cycle
from db.store import Store
from engine.anomalies.policy import AnomalyPolicy
from engine.cards import ModelCard
from engine.codec.policy import CodecPolicy
from engine.cosmicrays.policy import CosmicRayPolicy
from engine.errors import NotApplicable
from engine.frame import Frame, Origin, Pixels
from engine.results import (
    AnomalyResult,
    CodecResult,
    CosmicRayResult,
    Detection,
    Score,
    Verdict,
)
from jobs.bench.fake_pipelines import coded_as_mean
from jobs.cycle import Cycle
from jobs.plan import Choice, Plan
from jobs.sources.source import Item, Offer

T = TypeVar("T")
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SIDE = 32


class InlineWorkers:
    """Runs every call at once in the calling thread, and counts the calls."""

    def __init__(self, count: int = 2) -> None:
        self.count = count
        self.calls: list[str] = []

    def run(self, function: Callable[..., T], *args: Any) -> T:
        self.calls.append(getattr(function, "__name__", "?"))
        return function(*args)

    def close(self) -> None:
        """There is nothing to stop."""


@dataclass(frozen=True)
class Taken:
    """A source over offers that are ready."""

    offers: tuple[tuple[str, tuple[Offer, ...]], ...]
    name: str = "folder:/taken"

    def items(self) -> Iterator[Item]:
        for uri, offers in self.offers:
            yield Item(uri, "1", lambda offers=offers: offers)


def source_of(*frames: Frame, name: str = "folder:/taken") -> Taken:
    """A source with one frame an item."""
    return Taken(
        tuple((f"file:///{n}", (Offer(part="", frame=f),)) for n, f in enumerate(frames)), name
    )


def frame(seed: int = 0, *, object_id: str = "", sample_type: str = "float32") -> Frame:
    """A small frame of noise, another for each seed."""
    pixels = np.random.default_rng(seed).normal(100, 10, (SIDE, SIDE)).astype(np.float32)
    origin = Origin("folder:/taken", object_id or f"object-{seed}", uri=f"file:///{seed}")
    return Frame.of(pixels, origin, unit="electron", sample_type=sample_type)


def card(pipeline: str, name: str = "") -> ModelCard:
    """A card of weights that nobody has."""
    return ModelCard(
        name=name or pipeline, pipeline=pipeline, digest=f"digest-of-{name or pipeline}",
        description="", architecture={}, data="", seed=0, command="", device="",
        trained_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def plan(*, threshold: float = 0.5, aggressive: bool = False) -> Plan:
    """The three pipelines, with stub cards and real policies."""
    return Plan(
        cosmicrays=Choice(card("cosmicrays"), CosmicRayPolicy(threshold=threshold), Path()),
        anomaly=Choice(
            card("anomaly"), AnomalyPolicy(false_positive_rate=0.05 if aggressive else 0.01), Path()
        ),
        codec=Choice(card("codec"), CodecPolicy(), Path()),
    )


class StubCosmicRays:
    """Finds a cosmic ray wherever a pixel is above 120; 8-bit frames are not for it."""

    def __init__(self, policy: CosmicRayPolicy) -> None:
        self.policy = policy

    def run(self, frame: Frame, rng: np.random.Generator) -> CosmicRayResult:
        if frame.sample_bits == 8:
            raise NotApplicable("8-bit samples show no cosmic rays")
        probability = (frame.filled() > 120).astype(np.float32)
        nothing = np.zeros_like(probability)
        mask = probability > self.policy.threshold
        return CosmicRayResult(
            probability, nothing, nothing, nothing, mask, frame.filled(),
            threshold=self.policy.threshold, samples=self.policy.samples, method="vi",
        )  # fmt: skip


class StubAnomalies:
    """Sees one candidate in the middle of every frame."""

    def run(
        self,
        frame: Frame,
        rng: np.random.Generator,
        *,
        cosmic_rays: CosmicRayResult | None,
        decoded: Pixels | None = None,
    ) -> AnomalyResult:
        middle = frame.filled()[..., 8:24, 8:24]
        found = Detection(
            kind="image", x=frame.width / 2, y=frame.height / 2, size_px=16, cutout=middle,
            embedding=np.ones(4, dtype=np.float32), verdict=Verdict.CANDIDATE,
            scores=(Score("combined", float(middle.sum()), 99.0, 0.01),), reason="stub",
            p_value=0.01, rank=float(middle.sum()),
            ra_deg=frame.origin.ra_deg, dec_deg=frame.origin.dec_deg,
        )  # fmt: skip
        return AnomalyResult((found,), "stub", "stub")


class StubCodec:
    """Keeps the mean of a frame, in four bytes."""

    def run(self, frame: Frame, rng: np.random.Generator) -> CodecResult:
        return coded_as_mean(frame)


def use_stub_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers in this process load the stubs in place of networks."""
    cosmic_rays = "jobs.worker._cosmic_ray_pipeline"
    monkeypatch.setattr(cosmic_rays, lambda policy, *_: StubCosmicRays(policy))
    monkeypatch.setattr("jobs.worker._anomaly_pipeline", lambda *_: StubAnomalies())
    monkeypatch.setattr("jobs.worker._codec_pipeline", lambda *_: StubCodec())


def cycle(store: Store, source: Any, cycle_id: str = "cycle-1", **options: Any) -> Cycle:
    """A cycle that has begun and is ready to run."""
    begin_cycle(store, cycle_id=cycle_id, source=source.name, now=NOW)
    filled = {"plan": plan(), "workers": InlineWorkers(), "clock": ticking(), **options}
    return Cycle(cycle_id=cycle_id, source=source, store=store, **filled)


def ticking() -> Callable[[], datetime]:
    """A clock that goes on a second each time it is read."""
    seconds = iter(range(10**9))
    return lambda: NOW + timedelta(seconds=next(seconds))


def row_counts(store: Store, but: Sequence[str] = ()) -> dict[str, int]:
    """The rows of every table."""
    return {
        table: store.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]
        for table in store.tables
        if table not in but
    }


def write_picture(path: Path, seed: int = 0, side: int = SIDE) -> Path:
    """Write a small grey PNG."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def at(frame: Frame, **origin: Any) -> Frame:
    """The same pixels seen elsewhere."""
    return replace(frame, origin=replace(frame.origin, **origin))


@contextmanager
def opened(home: Path) -> Iterator[Store]:
    """A store that is closed in the end."""
    with Store.open(home) as store:
        yield store
