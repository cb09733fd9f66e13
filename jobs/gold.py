"""Blind injections: what was put into a simulated night becomes gold, to measure by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from db.gold import set_gold
from db.store import Store
from jobs.errors import UsageError
from jobs.pool import Workers

MOST_FRAMES = 64
Judged = tuple[str, float, float, int]
"""One detection: id, x, y, size_px."""


def gold_of_night(store: Store, workers: Workers, source: str, now: datetime) -> dict[str, Any]:
    """Make gold of a simulated night's detections: injected anomalies, and normals.

    Over the 64 newest frames at most. What truth leaves unclear (blends, cosmic rays, nothing
    there) is left out. Raises UsageError for another source, or one without detections.
    """
    if not source.startswith("sim:"):
        raise UsageError(f"only of a simulated night (sim:NAME) is the truth known, got {source!r}")
    frames = _frames(store, source)
    if not frames:
        raise UsageError(f"{source} has no detections yet: scan it first")
    items = workers.run(truth_of, frames)
    added = set_gold(
        store, items, origin="injection", set_by="simulation", now=now, note=f"truth of {source}"
    )
    finds = sum(kind == "astrophysical" for _, kind in items)
    return {"items": len(items), "finds": finds, "added": added}


def truth_of(frames: Sequence[tuple[str, int, Sequence[Judged]]]) -> list[tuple[str, str]]:
    """In a worker: make each frame's truth again and name the kind of what it decides."""
    from engine.anomalies.cutouts import Cutout
    from engine.anomalies.simulated import ANOMALY, NORMAL, match_truth
    from engine.sky import simulated_again

    kinds = {ANOMALY: "astrophysical", NORMAL: "boring"}
    found = []
    for object_id, size, judged in frames:
        truth = simulated_again(object_id, size=size).truth
        for detection_id, x, y, size_px in judged:
            place = cast(Cutout, SimpleNamespace(x=x, y=y, size_px=size_px))
            status = match_truth(place, truth).status
            if status in kinds:
                found.append((detection_id, kinds[status]))
    return found


def _frames(store: Store, source: str) -> list[tuple[str, int, list[Judged]]]:
    rows = store.rows(
        """
        SELECT o.object_id, any_value(f.height) AS size, max(o.seen_at) AS seen_at,
               list((d.detection_id, d.x, d.y, d.size_px) ORDER BY d.detection_id) AS judged
        FROM detections d JOIN current_runs USING (run_id)
        JOIN frames f ON f.frame_digest = d.frame_digest
        JOIN current_observations o ON o.frame_digest = d.frame_digest
        WHERE o.source = ? AND d.kind = 'source'
        GROUP BY o.object_id ORDER BY seen_at DESC, o.object_id LIMIT ?
        """,
        [source, MOST_FRAMES],
    )
    return [
        (row["object_id"], row["size"], [tuple(each.values()) for each in row["judged"]])
        for row in rows
    ]
