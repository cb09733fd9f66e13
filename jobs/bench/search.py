"""How fast similar detections are found among many stored search vectors."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from db.queries.evidence import SearchCache, similar
from db.store import Store
from jobs.bench.result import write_result

VECTORS = 100_000
DIMENSION = 64
CALLS = 200
BATCH = 20_000


def bench_search(out: Path, *, seed: int, vectors: int, now: datetime) -> dict[str, Any]:
    """Measure and write `out`."""
    figures = search(vectors=vectors, seed=seed)
    write_result(
        out,
        bench="search",
        command=f"skysieve bench search --seed {seed} --vectors {vectors} --out {out}",
        seed=seed,
        now=now,
        digests={},
        figures=figures,
        notes="in a store of its own; the first search reads the matrix and is told apart",
    )
    return figures


def search(
    *, vectors: int = VECTORS, dimension: int = DIMENSION, calls: int = CALLS, seed: int = 0
) -> dict[str, Any]:
    """Store `vectors` search vectors and time `calls` searches after the first, in milliseconds.

    The first search after a change of the store reads the matrix; it is told apart.
    """
    rng = np.random.default_rng(seed)
    now = datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder), memory_limit="2GB") as store,
    ):
        for start in range(0, vectors, BATCH):
            _fill(store, range(start, min(start + BATCH, vectors)), dimension, rng, now)
        cache = SearchCache()
        names = [f"detection-{number:07d}" for number in rng.integers(0, vectors, calls)]
        began = time.perf_counter()
        similar(store, names[0], 20, cache=cache)
        first_s = time.perf_counter() - began
        taken = []
        for name in names:
            began = time.perf_counter()
            found = similar(store, name, 20, cache=cache)
            taken.append(time.perf_counter() - began)
            if len(found) != min(20, vectors - 1):
                raise AssertionError(f"{len(found)} neighbours of {name}")
    in_ms = 1000 * np.array(taken)
    return {
        "vectors": vectors,
        "dimension": dimension,
        "calls": calls,
        "first_ms": 1000 * first_s,
        "median_ms": float(np.median(in_ms)),
        "p95_ms": float(np.quantile(in_ms, 0.95)),
    }


def _fill(
    store: Store, numbers: range, dimension: int, rng: np.random.Generator, now: datetime
) -> None:
    drawn = rng.normal(size=(len(numbers), dimension)).astype(np.float32)
    names = [f"detection-{number:07d}" for number in numbers]
    runs = sorted({f"run-{number // 100:06d}" for number in numbers})
    store.write(
        {
            "runs": [
                {
                    "run_id": run, "frame_digest": run, "pipeline": "anomaly",
                    "model_digest": "m", "policy_digest": "p", "status": "ok",
                    "duration_s": 0.0, "cycle_id": "c", "finished_at": now,
                }
                for run in runs
            ],
            "detections": [
                {
                    "detection_id": name, "run_id": f"run-{number // 100:06d}",
                    "frame_digest": f"run-{number // 100:06d}", "kind": "source", "x": 0.0,
                    "y": 0.0, "size_px": 24, "verdict": "normal", "reason": "",
                    "embedder": "bench", "reference": "bench", "cutout_file": "0" * 64,
                    "detected_at": now,
                }
                for number, name in zip(numbers, names, strict=True)
            ],
            "embeddings": [
                {"detection_id": name, "embedder": "bench", "vector": vector}
                for name, vector in zip(names, drawn, strict=True)
            ],
        }
    )  # fmt: skip
