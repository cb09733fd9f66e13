"""Simulated nights full of artefacts and anomalies, and what each of their detections really is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.anomalies.artefacts.features import Table, feature_table
from engine.anomalies.artefacts.surroundings import footprint_pixels
from engine.anomalies.cutouts import Cutout, cutouts_of
from engine.anomalies.policy import DEFAULT_LIMIT
from engine.anomalies.simulated import ANOMALY, NORMAL, UNCLEAR, match_truth
from engine.frame import Frame, Mask, Origin
from engine.results import CosmicRayResult
from engine.sky import ARTEFACT_KINDS, SimulatedFrame, SkyObject, Truth, simulate_field
from engine.sky.artefacts import artefact_light
from engine.sky.night import night_conditions

ARTEFACT = "artefact"
HIT, EDGE, SATURATED = "residual_hit", "edge", "bleed"
NIGHT_STREAM = 0xA27
NEAR_PX = 5.0
OWN_SHARE = 0.3


@dataclass(frozen=True)
class Named:
    """What a detection really is: `status` normal, anomaly, artefact or unclear, and the kind."""

    status: str
    kind: str


def artefact_night(
    frames: int, seed: int, *, size: int = 256, anomaly_share: float = 0.4
) -> Iterator[SimulatedFrame]:
    """Frames of a bad night: two galaxies in five anomalous, three artefacts a frame, many hits.

    The same seed gives the same frames; other seeds share nothing with them.
    """
    for number in range(frames):
        rng = np.random.default_rng([seed, NIGHT_STREAM, number])
        counts = rng.multinomial(rng.poisson(3.0), np.full(len(ARTEFACT_KINDS), 1 / 7))
        by_kind = dict(zip(ARTEFACT_KINDS, (int(n) for n in counts), strict=True))
        conditions = replace(
            night_conditions(rng, size),
            anomaly_share=anomaly_share,
            cosmic_ray_rate=float(rng.uniform(200, 1200)),
            n_hot_columns=by_kind["hot_column"],
            n_trails=by_kind["trail"],
            n_streaks=by_kind["streak"],
            n_ghosts=by_kind["ghost"],
            n_glows=by_kind["glow"],
            n_bleeds=by_kind["bleed"],
            n_blocks=by_kind["block"],
        )
        field = simulate_field(rng, conditions)
        origin = Origin(f"sim:artefacts-{seed}", f"artefacts-{seed}-{number:04d}")
        frame = Frame.of(field.pixels, origin, unit="electron", sample_type="float32")
        yield SimulatedFrame(frame, field.truth)


@dataclass(frozen=True)
class FlawLight:
    """The truth of one frame, its artefacts' light apart from its objects.

    `sky` is the truth without artefacts among its objects, `kinds` names the rows of `light`
    float64 (artefacts, H, W) in electrons, `unexplained` bool (H, W) the spoiled pixels that none
    of them accounts for: stars that bled.
    """

    sky: Truth
    kinds: tuple[str, ...]
    light: Table
    unexplained: Mask

    @classmethod
    def of(cls, truth: Truth) -> FlawLight:
        """Paint every artefact once."""
        shape = truth.artefacts.shape
        flaws = [thing for thing in truth.objects if thing.kind in ARTEFACT_KINDS]
        light = np.array([np.abs(artefact_light(flaw, shape)) for flaw in flaws])
        light = light.reshape(-1, *shape)
        explained = (light > 0.5 * truth.cosmic_ray_floor_e).any(axis=0)
        objects = tuple(thing for thing in truth.objects if thing.kind not in ARTEFACT_KINDS)
        return cls(
            replace(truth, objects=objects),
            tuple(flaw.kind for flaw in flaws),
            light,
            truth.artefacts & ~explained,
        )


def name_detection(cutout: Cutout, flaws: FlawLight) -> Named:
    """Name a detection by the truth of its frame.

    An anomaly is one wherever it is found first; else what spoils at least 0.3 of the footprint's
    pixels and outshines every object there names it: an artefact's light, hits of cosmic rays,
    saturated pixels, or an object whose centre lies beyond the frame's edge. Unclear: near an
    anomaly, or nothing known is there.
    """
    match = match_truth(cutout, flaws.sky)
    if match.status == ANOMALY:
        return Named(ANOMALY, match.kind or "")
    flaw = _owner(cutout, flaws)
    if flaw is not None:
        return Named(ARTEFACT, flaw)
    if match.status == NORMAL:
        inside = _centre_inside(cutout, flaws.sky)
        return Named(NORMAL, match.kind or "") if inside else Named(ARTEFACT, EDGE)
    return Named(UNCLEAR, "")


def _owner(cutout: Cutout, flaws: FlawLight) -> str | None:
    """The kind of artefact that owns the detection, None when no artefact does."""
    truth, (rows, columns) = flaws.sky, footprint_pixels(cutout, flaws.sky.artefacts.shape)
    if rows.size == 0:
        return None
    spoiled = float(truth.artefacts[rows, columns].mean())
    struck = float(truth.cosmic_rays[rows, columns].mean())
    if max(spoiled, struck) < OWN_SHARE:
        return None
    of_flaw = flaws.light[:, rows, columns].sum(axis=1)
    charge = truth.cosmic_ray_charge_e
    of_hits = 0.0 if charge is None else float(charge[rows, columns].sum())
    bled = flaws.unexplained[rows, columns].sum() >= max(4, 0.1 * rows.size)
    brightest = max((thing.flux_e for thing in _near(cutout, truth)), default=0.0)
    if bled:
        return SATURATED
    if brightest > of_hits + float(of_flaw.sum()):
        return None
    if struck > spoiled or not of_flaw.size:
        return HIT
    return flaws.kinds[int(of_flaw.argmax())]


def _near(cutout: Cutout, truth: Truth) -> list[SkyObject]:
    return [
        thing
        for thing in truth.objects
        if np.hypot(thing.x - cutout.x, thing.y - cutout.y) <= max(NEAR_PX, thing.size_px)
    ]


def _centre_inside(cutout: Cutout, truth: Truth) -> bool:
    height, width = truth.artefacts.shape
    brightest = max(_near(cutout, truth), key=lambda thing: thing.flux_e, default=None)
    if brightest is None:
        return True
    return bool(-0.5 <= brightest.x <= width - 0.5 and -0.5 <= brightest.y <= height - 0.5)


@dataclass(frozen=True)
class NightTable:
    """Detections of a night: features (N, 55), what each is, and the frame it lies on."""

    table: Table
    named: tuple[Named, ...]
    frames: tuple[int, ...]
    cutouts: tuple[Cutout, ...]

    def rows(self, *statuses: str) -> np.ndarray:
        """Row numbers of these statuses, int64."""
        return np.flatnonzero([name.status in statuses for name in self.named])


def night_table(
    frames: Iterator[SimulatedFrame],
    *,
    clean: Callable[[SimulatedFrame], CosmicRayResult],
    limit: int = DEFAULT_LIMIT,
    vanished: int = 0,
    on_frame: Callable[[int], None] = lambda _: None,
) -> NightTable:
    """Detect as a run would and measure every detection's artefact features."""
    tables: list[Table] = []
    named: list[Named] = []
    numbers: list[int] = []
    kept: list[Cutout] = []
    for number, simulated in enumerate(frames):
        frame, found = simulated.frame, clean(simulated)
        cutouts = cutouts_of(frame, limit=limit, cosmic_rays=found, vanished=vanished)
        raw = frame.filled()
        tables.append(feature_table(frame, found.cleaned, raw, cutouts, found.mask))
        flaws = FlawLight.of(simulated.truth)
        named += [name_detection(cutout, flaws) for cutout in cutouts]
        numbers += [number] * len(cutouts)
        kept += cutouts
        on_frame(number)
    return NightTable(np.concatenate(tables), tuple(named), tuple(numbers), tuple(kept))
