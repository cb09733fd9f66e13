"""How fast the store appends and answers, and whether kill -9 loses what it acknowledged."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from db.batches import Row
from db.migrate import load_migrations
from db.queries.anomalies import page_of_detections
from db.store import Store
from jobs.bench.result import write_result

PER_FRAME = 20
EMBEDDING = 64
VERDICTS = ("normal", "near_miss", "uncertain", "candidate", "artefact")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

_CHILD = "import sys; from jobs.bench.store import append_until_killed as a; a(sys.argv[1])"


def bench_store(
    out: Path,
    seed: int,
    now: datetime,
    *,
    batches: int = 150,
    detections: int = 20_000,
    kills: int = 5,
) -> dict[str, Any]:
    """Measure appends, page queries and kills in a fresh folder; write the figures to `out`."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder) / "speed") as store:
            appends = measure_appends(store, batches, rng)
            fill(store, detections - batches * PER_FRAME, rng)
            pages = measure_pages(store, rng)
        killed = measure_kills(Path(folder) / "kills", kills, rng)
    figures = {"appends": appends, "pages": pages, "kills": killed}
    write_result(
        out,
        bench="store",
        command=f"skysieve bench store --out {out} --seed {seed}",
        seed=seed,
        now=now,
        digests={f"migration {m.version}": m.sha256 for m in load_migrations()},
        figures=figures,
        notes="One frame's anomaly run per batch. Times include the fsync of each commit.",
    )
    return figures


def measure_appends(store: Store, batches: int, rng: np.random.Generator) -> dict[str, Any]:
    """Time one transaction per frame: a run with its detections, scores and embeddings."""
    prepared = [frame_batch(number, rng) for number in range(batches)]
    times = [_seconds(partial(store.write, batch)) for batch in prepared]
    return {
        "batches": batches,
        "rows_per_batch": sum(len(rows) for rows in prepared[0].values()),
        "tx_per_s": batches / sum(times),
        **_spread(times),
    }


def fill(store: Store, detections: int, rng: np.random.Generator) -> None:
    """Append `detections` more, many frames to a transaction."""
    merged: dict[str, list[Row]] = {}
    for number in range(max(0, detections) // PER_FRAME):
        for table, rows in frame_batch(1_000_000 + number, rng).items():
            merged.setdefault(table, []).extend(rows)
    store.write(merged)


def measure_pages(store: Store, rng: np.random.Generator, calls: int = 60) -> dict[str, Any]:
    """Time pages of 50 detections, at rest and while another thread appends."""
    quiet = _page_times(store, calls, rng)
    stop = threading.Event()
    writes = threading.Thread(target=_append_until, args=(store, stop, rng.spawn(1)[0]))
    writes.start()
    busy = _page_times(store, calls, rng)
    stop.set()
    writes.join()
    return {
        "detections": store.rows("SELECT count(*) AS n FROM detections")[0]["n"],
        "calls": calls,
        "at_rest": _spread(quiet),
        "while_appending": _spread(busy),
    }


def measure_kills(home: Path, kills: int, rng: np.random.Generator) -> dict[str, Any]:
    """Kill -9 a process that appends, `kills` times; count acknowledged batches lost or partial."""
    acknowledged: set[int] = set()
    reopened_s = []
    for _ in range(kills):
        acknowledged |= _kill_once(home, rng)
        started = time.perf_counter()
        with Store.open(home) as store:
            reopened_s.append(time.perf_counter() - started)
            kept = store.rows(
                "SELECT r.run_id, (SELECT count(*) FROM detections d WHERE d.run_id = r.run_id) "
                "AS detections, (SELECT count(*) FROM scores s JOIN detections d "
                "USING (detection_id) WHERE d.run_id = r.run_id) AS scores FROM runs r"
            )
    whole = {r["run_id"] for r in kept if r["detections"] == r["scores"] == PER_FRAME}
    return {
        "kills": kills,
        "acknowledged_batches": len(acknowledged),
        "lost_batches": len({f"run-{number}" for number in acknowledged} - whole),
        "partial_batches": len(kept) - len(whole),
        "unacknowledged_batches_kept": len(whole) - len(acknowledged),
        "slowest_reopen_s": max(reopened_s),
    }


def append_until_killed(home: str) -> None:
    """Append batch after batch and write the number of each acknowledged one to stdout."""
    with Store.open(Path(home)) as store:
        first = store.rows("SELECT count(*) AS n FROM runs")[0]["n"]
        rng = np.random.default_rng(first)
        for number in count(first):
            store.write(frame_batch(number, rng))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def frame_batch(number: int, rng: np.random.Generator) -> dict[str, list[Row]]:
    """Make the rows of one frame's anomaly run: random figures under the id `number`."""
    run = {
        "run_id": f"run-{number}",
        "frame_digest": f"frame-{number}",
        "pipeline": "anomaly",
        "model_digest": "model",
        "policy_digest": "policy",
        "status": "ok",
        "duration_s": 1.0,
        "cycle_id": "cycle",
        "finished_at": _EPOCH + timedelta(seconds=number),
    }
    ids = [f"detection-{number}-{index}" for index in range(PER_FRAME)]
    detections = [_detection(detection_id, number, rng) for detection_id in ids]
    scores: list[Row] = [
        {"detection_id": detection_id, "method": "knn", "raw": float(rng.random())}
        for detection_id in ids
    ]
    vectors = rng.standard_normal((PER_FRAME, EMBEDDING), dtype=np.float32)
    embeddings: list[Row] = [
        {"detection_id": detection_id, "embedder": "bench", "vector": vector}
        for detection_id, vector in zip(ids, vectors, strict=True)
    ]
    return {"runs": [run], "detections": detections, "scores": scores, "embeddings": embeddings}


def _detection(detection_id: str, number: int, rng: np.random.Generator) -> Row:
    return {
        "detection_id": detection_id,
        "run_id": f"run-{number}",
        "frame_digest": f"frame-{number}",
        "kind": "source",
        "x": float(rng.uniform(0, 512)),
        "y": float(rng.uniform(0, 512)),
        "size_px": 32,
        "verdict": str(rng.choice(VERDICTS)),
        "reason": "bench",
        "p_value": float(rng.random()),
        "rank_score": float(rng.random()),
        "embedder": "bench",
        "reference": "bench",
        "cutout_file": "0" * 64,
        "detected_at": _EPOCH + timedelta(seconds=number),
    }


def _page_times(store: Store, calls: int, rng: np.random.Generator) -> list[float]:
    times = []
    cursor = None
    for _ in range(calls):
        started = time.perf_counter()
        page = page_of_detections(store, cursor=cursor, verdict=str(rng.choice(VERDICTS)))
        times.append(time.perf_counter() - started)
        cursor = page.next
    return times


def _append_until(store: Store, stop: threading.Event, rng: np.random.Generator) -> None:
    for number in count(2_000_000):
        if stop.is_set():
            return
        store.write(frame_batch(number, rng))


def _kill_once(home: Path, rng: np.random.Generator) -> set[int]:
    """Let a child append for a while after its first batch, kill it, return what it had said."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(home)], stdout=subprocess.PIPE
    ) as child:
        if child.stdout is None:
            raise RuntimeError("expected a pipe from the appending process")
        first = child.stdout.readline()
        time.sleep(rng.uniform(0.05, 0.6))
        child.kill()
        lines = [first, *child.stdout.readlines()]
    return {int(line) for line in lines if line.endswith(b"\n")}


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _spread(times: list[float]) -> dict[str, float]:
    median, p95 = np.percentile(times, [50, 95])
    return {"median_ms": 1e3 * median, "p95_ms": 1e3 * p95, "max_ms": 1e3 * max(times)}
