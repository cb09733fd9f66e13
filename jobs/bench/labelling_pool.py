"""Real galaxies labelled by hand on the page, beside the active learner of the anomaly bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from db.batches import Row
from db.store import Store
from engine.stretch import preview_png
from jobs.bench.anomalies.learning import BATCH, labelled_order, pool_prior
from jobs.bench.anomalies.pictures import Picture
from jobs.bench.anomalies.ranking import Material
from jobs.bench.labelling import SHOWN
from jobs.packing import pack_frame

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The page's own mix, held-out share and gold would make it another learner than the bench's.
PLAIN = {
    "SKYSIEVE_LABEL_BATCH": str(BATCH),
    "SKYSIEVE_LABEL_EXPLORE": "0",
    "SKYSIEVE_LABEL_CALIBRATE": "0",
    "SKYSIEVE_LABEL_HELD_OUT": "0",
    "SKYSIEVE_LABEL_GOLD_EVERY": "0",
}


@dataclass(frozen=True)
class GalaxyPool:
    """Rows of a set that make a pool, and which of them are anomalous; both (N,)."""

    pictures: Sequence[Picture]
    material: Material
    rows: NDArray[np.int64]
    truth: NDArray[np.bool_]

    def bench_order(self, rounds: int) -> list[int]:
        """Places in the pool in the order in which the anomaly bench's learner labels them."""
        prior = pool_prior(self.material, self.rows)
        return labelled_order(self.material, self.rows, prior, self.truth, rounds)


def fill_pool(store: Store, pool: GalaxyPool, now: datetime) -> None:
    """Keep the pool as detections of whole pictures: `rank_score` is the prior of the bench."""
    prior = pool_prior(pool.material, pool.rows)
    merged: dict[str, list[Row]] = {}
    for place, row in enumerate(pool.rows.tolist()):
        frame = pool.pictures[row].read()
        height, width = frame.pixels.shape[-2:]
        picture = store.files.put(preview_png(frame.pixels, frame.mask))
        names = {"detection_id": name_of(place), "frame_digest": f"frame-{place:05d}"}
        rows: dict[str, Row] = {
            "frames": {
                "frame_digest": names["frame_digest"], "height": height, "width": width,
                "planes": 1 if frame.pixels.ndim == 2 else len(frame.pixels),
                "sample_type": frame.sample_type, "unit": "", "masked_pixels": 0,
                "pixels_file": store.files.put(pack_frame(frame)), "preview_file": picture,
                "stored_at": now,
            },
            "observations": {
                "observation_id": names["frame_digest"], "frame_digest": names["frame_digest"],
                "source": "bench", "object_id": f"galaxy {place}", "part": "", "uri": "",
                "header": "", "seen_at": now,
            },
            "runs": {
                "run_id": f"run-{place:05d}", "frame_digest": names["frame_digest"],
                "pipeline": "anomaly", "model_digest": "model", "policy_digest": "policy",
                "status": "ok", "duration_s": 0.0, "cycle_id": "cycle", "finished_at": now,
            },
            "detections": {
                **names, "run_id": f"run-{place:05d}", "kind": "image", "x": (width - 1) / 2,
                "y": (height - 1) / 2, "size_px": max(height, width), "verdict": "normal",
                "reason": "", "rank_score": float(prior[place]),
                "embedder": pool.material.embedder, "reference": "bench", "cutout_file": picture,
                "detected_at": now,
            },
            "embeddings": {
                "detection_id": names["detection_id"], "embedder": pool.material.embedder,
                "vector": pool.material.features[row],
            },
        }  # fmt: skip
        for table, one in rows.items():
            merged.setdefault(table, []).append(one)
    merged["vector_parts"] = [
        {"embedder": pool.material.embedder, "part": part, "first_column": columns.start,
         "end_column": columns.stop}
        for part, columns in pool.material.parts.items()
    ]  # fmt: skip
    store.write(merged)


def label_by_hand(
    page: Page, address: str, truth: NDArray[np.bool_], labels: int, *, pause_ms: float = 0
) -> list[int]:
    """Label what the queue "most interesting" shows by the truth; the places in their order."""
    page.goto(f"{address}/verify?labeller=truth&queue=most_interesting")
    order: list[int] = []
    while len(order) < labels:
        desk = page.locator(SHOWN)
        desk.wait_for(timeout=60_000)
        place = place_of(str(desk.get_attribute("data-item")))
        if order and place == order[-1]:
            page.wait_for_timeout(20)
            continue
        page.keyboard.press("a" if truth[place] else "b")
        order.append(place)
        page.wait_for_timeout(pause_ms)
    page.locator(".desk[data-unsent='0']").wait_for(timeout=60_000)
    return order


def compare(order: Sequence[int], bench: Sequence[int], truth: NDArray[np.bool_]) -> dict[str, Any]:
    """How far the page's order is the bench's, and what each found."""
    same = sum(a == b for a, b in zip(order, bench, strict=True))
    return {
        "labels": len(order),
        "same_place": same,
        "found_on_the_page": int(truth[list(order)].sum()),
        "found_by_the_bench": int(truth[list(bench)].sum()),
    }


def name_of(place: int) -> str:
    """The detection id of a place in the pool; ids are in the order of the places."""
    return f"galaxy-{place:05d}"


def place_of(detection_id: str) -> int:
    """The place that an id names."""
    return int(detection_id.rpartition("-")[2])
