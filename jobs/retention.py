"""The disk budget: what is given up where the stored files outgrow it, and what never is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from db import retention
from db.cycles import add_event
from db.store import Store

BATCH = 50


@dataclass(frozen=True)
class Tidied:
    """What a round gave up; `over_bytes` is what is still above the budget (0: within it)."""

    frames: int
    bytes: int
    over_bytes: int


def keep_within(store: Store, budget_bytes: int | None, clock: Callable[[], datetime]) -> Tidied:
    """Give up pixels until the stored files fit the budget (None: no budget, nothing happens).

    Pixels of normals go first, oldest first, then those of frames with near misses at most.
    Previews, cutouts, bitstreams, digests, scores, labels, candidates and whatever people labelled
    or edited stay, even where the budget cannot be met; that is then an event.
    """
    for digest in retention.unfinished(store):
        store.files.remove(digest)
    if budget_bytes is None:
        return Tidied(0, 0, 0)
    used = store.files.usage_bytes()
    frames = freed = 0
    for stage in range(len(retention.STAGES)):
        while used - freed > budget_bytes:
            batch = retention.expendable(store, stage, BATCH)
            for row in batch:
                if used - freed <= budget_bytes:
                    break
                freed += _give_up(store, row, stage, clock())
                frames += 1
            if not batch:
                break
    over = max(0, used - freed - budget_bytes)
    if frames:
        message = f"gave up the pixels of {frames} frames ({freed} bytes) to keep within the budget"
        add_event(store, None, "retention", message, clock())
    if over:
        message = (
            f"the stored files are {over} bytes above the budget of {budget_bytes}, and what is "
            "left is not given up: raise disk_budget_bytes, or back up and begin a new store"
        )
        add_event(store, None, "retention", message, clock())
    return Tidied(frames, freed, over)


def _give_up(store: Store, row: retention.Row, stage: int, now: datetime) -> int:
    """Note the frame's bulky files as released, then remove them; returns the bytes."""
    frame_digest = row["frame_digest"]
    files = [row["pixels_file"], *(row["arrays"] or ())]
    kept = retention.still_named(store, files, frame_digest)
    sizes = {
        digest: store.files.path(digest).stat().st_size if store.files.exists(digest) else 0
        for digest in files
        if digest not in kept
    }
    # The pixels are always noted, so that the frame is not asked about again.
    sizes.setdefault(row["pixels_file"], 0)
    retention.note_released(store, frame_digest, sizes, retention.STAGES[stage][0], now)
    for digest in sizes:
        if digest not in kept:
            store.files.remove(digest)
    return sum(sizes.values())
