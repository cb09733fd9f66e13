"""Priority measured: what the first bytes of a pass bring, against raster order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.anomalies.cutouts import Cutout
from engine.anomalies.pipeline import AnomalyPipeline
from engine.anomalies.simulated import ANOMALY, NORMAL, cleaned_by, match_truth
from engine.codec.decoding import decode
from engine.codec.downlink import Order, Pass, Scheduled, plan, received, timetable
from engine.codec.encoding import encode
from engine.codec.judging import judged_where_refined, with_noise
from engine.codec.model import CodecModel
from engine.codec.progressive import ProgressiveFrame, in_pieces
from engine.codec.rate import RateTarget
from engine.codec.worth import ODD_P, anomalous_regions, value_map
from engine.cosmicrays.pipeline import CosmicRayPipeline
from engine.errors import BitstreamError
from engine.frame import Frame, Origin
from engine.metrics.image import psnr_db
from engine.policy import generator_for
from engine.results import AnomalyResult
from engine.sky import SimulatedFrame, Truth, simulate_field
from engine.sky.night import night_conditions

ORDERS: tuple[Order, Order] = ("priority", "raster")
BASE_BPP, FULL_BPP = 0.1, 0.5
NIGHT_FULL_BPP, NIGHT_BASE_BPP = 1.0, 0.05
NIGHT_SIDE = 32
NIGHT_FRAMES = 240
NIGHT_SHARE = 0.15
CANDIDATE_P = 0.05
FIRST_SHARE = 0.25
SHARES = (0.05, 0.10, 0.25, 0.50, 1.00)
NIGHT_SHARES = (0.10,)

Anomaly = tuple[int, int]
"""The number of a frame, and of the anomaly in its truth."""


def refinement_figures(groups: Mapping[str, Sequence[Frame]], model: CodecModel) -> dict[str, Any]:
    """Gain after a quarter of the refinement bytes, and what layers cost against one shot."""
    return {name: _group_figures(frames, model) for name, frames in groups.items()}


def _group_figures(frames: Sequence[Frame], model: CodecModel) -> dict[str, float]:
    pieces = [in_pieces(f, model, base_bpp=BASE_BPP, full_bpp=FULL_BPP) for f in frames]
    gains = {order: _gain(plan(pieces, order=order)) for order in ORDERS}
    alone = {
        order: float(np.mean([_gain(plan([piece], order=order)) for piece in pieces]))
        for order in ORDERS
    }
    shots = [encode(frame, RateTarget(bpp=FULL_BPP), model) for frame in frames]
    base = sum(len(p.content) for piece in pieces for p in piece.pieces if p.is_base)
    layered = sum(len(piece.whole) for piece in pieces)
    return {
        "frames": len(frames),
        **{f"gain_at_quarter_{order}": gains[order] for order in ORDERS},
        "gain_over_raster": gains["priority"] / gains["raster"],
        "gain_over_even": gains["priority"] / FIRST_SHARE,
        **{f"gain_at_quarter_{order}_each_frame_alone": alone[order] for order in ORDERS},
        "gain_over_raster_each_frame_alone": alone["priority"] / alone["raster"],
        "base_share_of_bytes": base / layered,
        "layered_bytes_over_one_shot": layered / sum(map(len, shots)),
        "layered_psnr_db": _mean_psnr(frames, [piece.whole for piece in pieces], model),
        "one_shot_psnr_db": _mean_psnr(frames, shots, model),
    }


def _gain(planned: Pass) -> float:
    """Share of the refinements' saved error after a quarter of their bytes."""
    finer = [item for item in planned.scheduled if item.piece and not item.piece.is_base]
    ends = np.cumsum([item.end - item.begin for item in finer])
    saved = np.array([_saved(item) for item in finer])
    return float(saved[ends <= FIRST_SHARE * ends[-1]].sum() / saved.sum())


def _saved(item: Scheduled) -> float:
    return item.piece.saved if item.piece else 0.0


def _mean_psnr(frames: Sequence[Frame], coded: Sequence[bytes], model: CodecModel) -> float:
    return float(
        np.mean(
            [
                psnr_db(frame.pixels, decode(content, model).pixels, 255.0, good=~frame.mask)
                for frame, content in zip(frames, coded, strict=True)
            ]
        )
    )


@dataclass(frozen=True)
class _Look:
    """Anomalies found, and how many ordinary objects were judged and how many found odd."""

    found: frozenset[Anomaly] = frozenset()
    ordinary: int = 0
    false_alarms: int = 0

    def __add__(self, other: _Look) -> _Look:
        return _Look(
            self.found | other.found,
            self.ordinary + other.ordinary,
            self.false_alarms + other.false_alarms,
        )

    def figures(self, at_full: frozenset[Anomaly]) -> dict[str, float]:
        kept = len(self.found & at_full)
        return {
            "found": len(self.found),
            "of_those_found_at_full": kept,
            "kept_share": kept / max(len(at_full), 1),
            "ordinary_judged": self.ordinary,
            "false_alarms": self.false_alarms,
        }


@dataclass
class _Receiver:
    """Looks for anomalies in what arrived of a night; the same bytes are looked at once.

    Only frames with an anomaly in them are looked at: their ordinary objects give the false alarms.
    """

    night: list[tuple[Frame, Truth]]
    detector: AnomalyPipeline
    model: CodecModel
    seed: int
    seen: dict[tuple[int, bytes], tuple[_Look, _Look]] = field(default_factory=dict)

    def after(self, planned: Pass, share: float) -> tuple[_Look, _Look]:
        """What decodes after a share of the bytes: judged where refined, and judged anywhere."""
        limit = int(share * planned.total_bytes)
        stream = b"".join(item.record for item in planned.scheduled if item.end <= limit)
        refined, anywhere = _Look(), _Look()
        for number, (_, content) in received(stream).items():
            if any(thing.is_anomaly for thing in self.night[number][1].objects):
                looks = self._looks(number, content)
                refined, anywhere = refined + looks[0], anywhere + looks[1]
        return refined, anywhere

    def _looks(self, number: int, content: bytes) -> tuple[_Look, _Look]:
        key = number, hashlib.sha256(content).digest()
        if key not in self.seen:
            try:
                self.seen[key] = self._looked(number, content)
            except BitstreamError:
                self.seen[key] = _Look(), _Look()
        return self.seen[key]

    def _looked(self, number: int, content: bytes) -> tuple[_Look, _Look]:
        original, truth = self.night[number]
        decoded = decode(content, self.model)
        frame = with_noise(decoded, original.origin, self.seed)
        result = self.detector.run(frame, generator_for(frame.digest, self.seed))
        refined = np.zeros_like(decoded.valid) if decoded.refined is None else decoded.refined
        return (
            _look(number, judged_where_refined(result, refined), truth),
            _look(number, result, truth),
        )


def night_figures(model: CodecModel, seed: int, frames: int = NIGHT_FRAMES) -> dict[str, Any]:
    """Anomalies still found on decoded frames after a share of a simulated night's bytes.

    On board, the anomaly pipeline on the cleaned frame says which cutouts go first. An anomaly
    counts as found where the same pipeline, run on the decoded frame, gives its detection
    p <= 0.05; judged is what arrived refined, beside it everything.
    """
    detector = AnomalyPipeline()
    detector.heat = None  # for people to look at; no verdict depends on it
    clean = cleaned_by(CosmicRayPipeline())
    night: list[tuple[Frame, Truth]] = []
    pieces: list[ProgressiveFrame] = []
    on_board = _Look()
    for number, simulated in enumerate(_night(seed, frames)):
        frame = simulated.frame.with_pixels(clean(simulated).cleaned)
        result = detector.run(frame, generator_for(frame.digest, seed))
        if any(thing.is_anomaly for thing in simulated.truth.objects):
            on_board += _look(number, result, simulated.truth)
        pieces.append(_night_pieces(frame, result, model))
        night.append((frame, simulated.truth))
    receiver = _Receiver(night, detector, model, seed)
    plans = {order: plan(pieces, order=order) for order in ORDERS}
    at_full, _ = receiver.after(plans["priority"], 1.0)
    orders: dict[str, Any] = {}
    for order, planned in plans.items():
        kept, anywhere = {}, {}
        for share in NIGHT_SHARES:
            looks = receiver.after(planned, share)
            kept[f"{share:g}"] = looks[0].figures(at_full.found)
            anywhere[f"{share:g}"] = looks[1].figures(at_full.found)
        gains = {f"{row.share:g}": row.gain for row in timetable(planned, pieces, shares=SHARES)}
        orders[order] = {
            "anomalies_kept": kept,
            "anomalies_kept_judged_anywhere": anywhere,
            "weighted_gain": gains,
        }
    base = sum(len(p.content) for piece in pieces for p in piece.pieces if p.is_base)
    return {
        "frames": frames,
        "injected_anomalies": sum(t.is_anomaly for _, truth in night for t in truth.objects),
        "on_board": on_board.figures(at_full.found),
        "at_full": at_full.figures(at_full.found),
        "base_share_of_bytes": base / plans["priority"].total_bytes,
        "full_bpp": 8 * plans["priority"].total_bytes / sum(piece.pixels for piece in pieces),
        "orders": orders,
    }


def _night_pieces(frame: Frame, result: AnomalyResult, model: CodecModel) -> ProgressiveFrame:
    return in_pieces(
        frame,
        model,
        value=value_map(frame.mask.shape, anomalous_regions(result)),
        first=anomalous_regions(result, most_p=ODD_P),
        base_bpp=NIGHT_BASE_BPP,
        full_bpp=NIGHT_FULL_BPP,
        side=NIGHT_SIDE,
    )


def _night(seed: int, frames: int) -> Iterator[SimulatedFrame]:
    """Frames of a night of their own, three galaxies in twenty anomalous."""
    for number in range(frames):
        rng = np.random.default_rng([seed, 0xD0171, number])
        conditions = replace(night_conditions(rng, 256), anomaly_share=NIGHT_SHARE)
        field = simulate_field(rng, conditions)
        origin = Origin("sim:downlink", f"downlink-{seed}-{number:04d}")
        frame = Frame.of(field.pixels, origin, unit="electron", sample_type="float32")
        yield SimulatedFrame(frame, field.truth)


def _look(number: int, result: AnomalyResult, truth: Truth) -> _Look:
    """The anomalies of a frame whose detection has p <= 0.05, and its ordinary objects."""
    found, ordinary, false_alarms = set(), 0, 0
    for detection in result.detections:
        if detection.p_value is None:
            continue
        place = Cutout(
            "source",
            detection.x,
            detection.y,
            detection.size_px,
            detection.cutout,
            0.0,
            0.0,
            0.0,
            stretched=False,
        )
        status, odd = match_truth(place, truth).status, detection.p_value <= CANDIDATE_P
        if status == ANOMALY and odd:
            found.add((number, _nearest(truth, detection.x, detection.y)))
        ordinary += status == NORMAL
        false_alarms += status == NORMAL and odd
    return _Look(frozenset(found), ordinary, false_alarms)


def _nearest(truth: Truth, x: float, y: float) -> int:
    apart = [
        np.hypot(thing.x - x, thing.y - y) if thing.is_anomaly else np.inf
        for thing in truth.objects
    ]
    return int(np.argmin(apart))
