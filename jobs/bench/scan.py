"""`skysieve bench scan`: a whole cycle's throughput with one worker and with two."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from db.store import Store
from jobs.bench.result import write_result
from jobs.cycle import Cycle
from jobs.plan import make_plan
from jobs.pool import LocalWorkers
from jobs.settings import load_settings
from jobs.sources import open_source

FRAMES = 24


def bench_scan(out: Path, *, seed: int, now: datetime) -> dict[str, Any]:
    """Scan one simulated night with one and with two workers, each from an empty store."""
    figures = {f"workers_{count}": _cycle(count, seed, now) for count in (1, 2)}
    figures["speedup"] = {
        "ratio": figures["workers_2"]["frames_per_s"] / figures["workers_1"]["frames_per_s"]
    }
    plan = make_plan(load_settings(seed=seed), "sim:bench")
    write_result(
        out,
        bench="scan",
        command="skysieve bench scan",
        seed=seed,
        now=now,
        digests={choice.card.name: choice.card.digest for choice in plan.choices},
        figures=figures,
        notes=f"{FRAMES} simulated frames of 256x256 through all three pipelines; the workers are "
        "warm (models loaded) before the clock starts.",
    )
    return figures


def _cycle(count: int, seed: int, now: datetime) -> dict[str, float]:
    settings = load_settings(seed=seed)
    workers = LocalWorkers(count, settings.frame_timeout_s)
    try:
        with tempfile.TemporaryDirectory() as home, Store.open(Path(home)) as store:
            _scan(f"sim:warm,frames={2 * count},terrain=0", store, workers, seed, now)
            started = time.perf_counter()
            _scan(f"sim:bench,frames={FRAMES},terrain=0", store, workers, seed, now)
            elapsed = time.perf_counter() - started
            shares = store.rows(
                """SELECT pipeline, sum(duration_s) / sum(sum(duration_s)) OVER () AS share
                   FROM runs WHERE cycle_id = 'sim:bench' GROUP BY pipeline"""
            )
    finally:
        workers.close()
    return {
        "frames_per_s": FRAMES / elapsed,
        **{f"share_{row['pipeline']}": row["share"] for row in shares},
    }


def _scan(
    specification: str, store: Store, workers: LocalWorkers, seed: int, now: datetime
) -> None:
    source = open_source(specification, max_pixels=10**8)
    Cycle(
        cycle_id=source.name,
        source=source,
        plan=make_plan(load_settings(seed=seed), source.name),
        store=store,
        workers=workers,
        clock=lambda: now,
    ).run()
