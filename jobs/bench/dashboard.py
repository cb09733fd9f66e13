"""How fast pages come: a served store of many detections, opened in headless Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.batches import Row
from db.migrate import load_migrations
from db.store import Store
from engine.writing import write_png
from jobs.bench.clicks import ROUNDS, measure_clicks
from jobs.bench.labelling import OBJECTS, measure_labelling
from jobs.bench.result import write_result
from jobs.bench.store import PER_FRAME, frame_batch
from jobs.errors import UsageError
from jobs.owner_file import read_owner
from jobs.packing import pack_arrays

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIDE = 512
CUTOUTS = 48
START_S = 60.0
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
PAGES = {
    "": "Overview",
    "compression": "Compression",
    "downlink": "Downlink",
    "cosmicrays": "Cosmic rays",
    "calibration": "Calibration",
    "anomalies": "Anomalies",
    "anomalies?detection=detection-0-0": "Anomalies",
    "crossmatch": "Cross-match",
    "verify": "Verify",
    "models": "Models",
    "jobs": "Jobs",
}
SERVE = "from jobs.cli.app import main; main()"


def bench_dashboard(
    out: Path,
    seed: int,
    now: datetime,
    *,
    frames: int = 1000,
    visits: int = 2,
    objects: int = OBJECTS,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Measure how long each page takes over `frames` frames; write the figures to `out`.

    Then pages and filters are clicked through `rounds` times with a warm browser, and `objects`
    are labelled by keyboard, a key every 150 ms.

    Raises UsageError when playwright or Chromium is not installed.
    """
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Store.open(home) as store:
            fill(store, frames, now, rng)
        with served(home) as address, chromium() as browser:
            pages = {
                f"/{path}": measure_page(browser, f"{address}/{path}", title, visits)
                for path, title in PAGES.items()
            }
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            clicks = measure_clicks(page, address, rounds=rounds)
            page.close()
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            labelling = measure_labelling(page, address, home, objects=objects)
    figures = {
        "frames": frames,
        "detections": frames * PER_FRAME,
        "pages": pages,
        "clicks": clicks,
        "labelling": labelling,
    }
    write_result(
        out,
        bench="dashboard",
        command=f"skysieve bench dashboard --out {out} --seed {seed}",
        seed=seed,
        now=now,
        digests={f"migration {m.version}": m.sha256 for m in load_migrations()},
        figures=figures,
        notes=f"Seconds from navigation until the title stands and the page's script has ended, "
        f"1280x720, each visit in a new browser context. first_s: the first visit since the "
        f"server started; again_s: the median of {visits} more. Rows and pictures are random; "
        f"frames share a few files; detections lie all over the sky. clicks: milliseconds in one "
        f"browser that has opened every page once; first_row_ms from the click on the menu until "
        f"the first numbers, rows or pictures of the page stand, filter_ms from the click or key "
        f"on a filter until what it narrows is drawn anew; {rounds} rounds. labelling: keys "
        f"pressed {labelling['every_ms']} ms apart on "
        f"the Verify page; next_object_ms is from the key press until another object stands with "
        f"all its pictures, lost_or_wrong counts labels that the store does not hold as pressed.",
    )
    return figures


def measure_page(browser: Browser, url: str, title: str, visits: int) -> dict[str, float]:
    """Time the first visit of a page and the median of some more."""
    first, *more = [_visit(browser, url, title) for _ in range(visits + 1)]
    return {"first_s": round(first, 3), "again_s": round(statistics.median(more), 3)}


def _visit(browser: Browser, url: str, title: str) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.locator(SETTLED).wait_for()
    took = time.perf_counter() - started
    context.close()
    return took


@contextmanager
def chromium() -> Iterator[Browser]:
    """Launch Chromium. Raises UsageError when it or playwright is not installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UsageError("no playwright: install skysieve with its [dev] extra") from error
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise UsageError("no chromium on the path: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Serve the store in `home` on a free port; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", "--port", str(port)],
        env={**os.environ, "SKYSIEVE_HOME": str(home), "SKYSIEVE_WORKERS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _address_when_ready(server, home)
    finally:
        server.terminate()
        server.wait(20)


def _address_when_ready(server: subprocess.Popen[bytes], home: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        card = read_owner(home)
        if card is not None:
            return card.address
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise UsageError("the server did not start: try `skysieve serve` and read what it says")


def fill(store: Store, frames: int, now: datetime, rng: np.random.Generator) -> None:
    """Write `frames` frames with codec, cosmic-ray and anomaly runs, and a calibration report."""
    files = [_noise(store, 32, rng) for _ in range(CUTOUTS)]
    preview = _noise(store, SIDE, rng)
    pixels = rng.normal(100, 5, (SIDE, SIDE)).astype(np.float32)
    packed = store.files.put(pack_arrays(pixels=pixels, mask=np.zeros((SIDE, SIDE), dtype=bool)))
    probability = rng.random((SIDE, SIDE)).astype(np.float16)
    array = store.files.put(pack_arrays(probability=probability))
    merged: dict[str, list[Row]] = {}
    for number in range(frames):
        batch = frame_batch(number, rng)
        batch["detections"] = [
            {
                **row,
                "cutout_file": files[index % CUTOUTS],
                "ra_deg": float(rng.uniform(0, 360)),
                "dec_deg": float(np.degrees(np.arcsin(rng.uniform(-1, 1)))),
            }
            for index, row in enumerate(batch["detections"])
        ]
        for table, rows in {**batch, **_frame(number, preview, packed, now)}.items():
            merged.setdefault(table, []).extend(rows)
        for table, rows in _pixel_runs(number, preview, array, now, rng).items():
            merged.setdefault(table, []).extend(rows)
    store.write({**merged, **_calibration(now)})


def _noise(store: Store, side: int, rng: np.random.Generator) -> str:
    pixels = rng.integers(0, 255, (side, side), dtype=np.uint8)
    return store.files.put(write_png(None, pixels, 8))


def _frame(number: int, preview: str, packed: str, now: datetime) -> dict[str, list[Row]]:
    digest = f"frame-{number}"
    return {
        "frames": [
            {
                "frame_digest": digest,
                "height": SIDE,
                "width": SIDE,
                "planes": 1,
                "sample_type": "int16",
                "unit": "",
                "masked_pixels": 0,
                "pixels_file": packed,
                "preview_file": preview,
                "stored_at": now,
            }
        ],
        "observations": [
            {
                "observation_id": digest,
                "frame_digest": digest,
                "source": "bench",
                "object_id": digest,
                "part": "",
                "uri": "",
                "header": "",
                "seen_at": now,
            }
        ],
    }


def _pixel_runs(
    number: int, preview: str, array: str, now: datetime, rng: np.random.Generator
) -> dict[str, list[Row]]:
    codec, rays = f"codec-{number}", f"rays-{number}"
    run = {"frame_digest": f"frame-{number}", "model_digest": "model", "policy_digest": "policy"}
    ended = {"status": "ok", "duration_s": 1.0, "cycle_id": "cycle", "finished_at": now}
    pictures = ("reconstruction", "confidence", "predicted", "error", "bitstream")
    maps = ("probability", "entropy", "information", "mask", "cleaned")
    bpp = float(rng.uniform(0.3, 1.5))
    return {
        "runs": [
            {**run, **ended, "run_id": codec, "pipeline": "codec"},
            {**run, **ended, "run_id": rays, "pipeline": "cosmicrays"},
        ],
        "codec_runs": [
            {
                "run_id": codec,
                "bytes": int(bpp * SIDE * SIDE / 8),
                "bpp": bpp,
                "sample_bits": 16,
                "compression_ratio": 16 / bpp,
                "psnr_db": 30 + 10 * bpp,
                "peak": 1.0,
                "ms_ssim": 0.9,
                "gradient_error": 0.1,
                "rmse": 0.1,
                "dropout_spearman": float(rng.uniform(-1, 1)),
                "predicted_spearman": float(rng.uniform(-1, 1)),
                "samples": 8,
                **{f"{name}_file": preview for name in pictures},
            }
        ],
        "cosmic_ray_runs": [
            {
                "run_id": rays,
                "method": "vi",
                "samples": 8,
                "threshold": 0.5,
                "pixels": SIDE * SIDE,
                "flagged_pixels": SIDE,
                "hits": 50,
                "mean_entropy": 0.1,
                "mean_information": 0.01,
                "probability_array": array,
                **{f"{name}_file": preview for name in maps},
            }
        ],
    }


def _calibration(now: datetime) -> dict[str, list[Row]]:
    figures = dict.fromkeys(("brier", "nll", "ece", "aurc"), 0.1)
    report = {"report_id": "report", "model_digest": "model", "pipeline": "cosmicrays"}
    told = {"dataset": "bench", "n": 1000, "positives": 10, "ece_bins": 10, "ece_norm": "l1"}
    bins: list[Row] = [
        {
            "report_id": "report",
            "bin": number,
            "low": number / 10,
            "high": (number + 1) / 10,
            "n": 100,
            "mean_probability": (number + 0.5) / 10,
            "observed_frequency": (number + 0.5) / 10,
        }
        for number in range(10)
    ]
    return {
        "calibration_reports": [
            {**report, **told, **figures, "temperature": 1.0, "measured_at": now}
        ],
        "reliability_bins": bins,
    }
