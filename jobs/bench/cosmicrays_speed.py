"""`skysieve bench cosmicrays-speed`: time and memory of every detector, each in a fresh process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.frame import Pixels
from jobs.bench.memory import peak_rss_bytes
from jobs.bench.result import write_result

SIDE_PX = 4096
TILE_PX = 1024
WARM_UP_PX = 512
SAMPLES = 16
THREADS = 2
REPEATS = 2
LONG_S = 60.0
CHILD_TIMEOUT_S = 3600
DEEPCR = ("deepcr_patch_1024", "deepcr_patch_512", "deepcr_patch_256")
OURS = ("unet", "unet_bfloat16", "unet_8_views", f"vi_{SAMPLES}_samples")
OTHERS = ("lacosmic", "clean_command")
NOTES = (
    "One simulated frame (1024 x 1024 pixels repeated), float32. Every detector runs in a process "
    "of its own with the same number of threads: a warm-up on 512 x 512 pixels, then the frame "
    "twice, once where that takes over a minute; seconds are the least, from pixels to a binary "
    "mask, normalisation included, reading and weights not. peak_rss_bytes is of the whole "
    "process. clean_command is `skysieve clean --method unet` (eight views) from file to file: "
    "scale, mask, fill and six extensions written. deepCR is its own code from PyPI at its default "
    "patch of 1024 and at smaller ones. "
    "bfloat16 is compared with float32 on the 1024 x 1024 pixels that the frame repeats."
)

Run = Callable[[Pixels], Any]


def bench_cosmicrays_speed(
    out: Path,
    seed: int,
    now: datetime,
    *,
    side: int = SIDE_PX,
    threads: int = THREADS,
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Time every detector on one frame of `side` pixels, and write the figures to `out`."""
    figures: dict[str, Any] = {"side_px": side, "threads": threads, "not_measured": {}}
    names = [*OURS, *OTHERS, *(DEEPCR if importlib.util.find_spec("deepCR") else ())]
    if len(names) == len(OURS) + len(OTHERS):
        figures["not_measured"]["deepcr"] = "not installed: pip install 'skysieve[deepcr]'"
    with tempfile.TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.npy"
        np.save(frame, _frame(seed, side))
        for name in names:
            figures[name] = _in_a_fresh_process(name, frame, threads, repeats)
        figures["bfloat16_accuracy"] = _in_a_fresh_process("accuracy", frame, threads, 1)
    figures["ratios"] = _ratios(figures)
    write_result(
        out,
        bench="cosmicrays-speed",
        command=f"skysieve bench cosmicrays-speed --seed {seed}",
        seed=seed,
        now=now,
        digests=_digests(),
        figures=figures,
        notes=NOTES,
    )
    return figures


def _frame(seed: int, side: int) -> Pixels:
    """A field with hits, repeated to the size wanted."""
    from engine.sky import FieldConditions, simulate_field

    tile = min(TILE_PX, side)
    rng = np.random.default_rng(seed)
    field = simulate_field(rng, FieldConditions.sample(rng, tile))
    times = -(-side // tile)
    return np.tile(field.pixels.astype(np.float32), (times, times))[:side, :side]


def _in_a_fresh_process(name: str, frame: Path, threads: int, repeats: int) -> dict[str, Any]:
    arguments = [name, str(frame), str(threads), str(repeats)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    answer = subprocess.run(
        [sys.executable, "-m", "jobs.bench.cosmicrays_speed", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    if answer.returncode:
        return {"failed": answer.stderr.strip().splitlines()[-1:]}
    measured: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return measured


def _ratios(figures: dict[str, Any]) -> dict[str, float]:
    """What the targets are stated in; only those whose parts were measured."""
    seconds = {
        name: float(one["seconds"])
        for name, one in figures.items()
        if isinstance(one, dict) and "seconds" in one
    }
    theirs = {name: seconds[name] for name in DEEPCR if name in seconds}
    ratios: dict[str, float] = {}
    ours = seconds.get("unet")
    if ours is None:
        return ratios
    if DEEPCR[0] in theirs:
        ratios["unet_over_deepcr_default_patch"] = ours / theirs[DEEPCR[0]]
        ratios["unet_over_deepcr_best_patch"] = ours / min(theirs.values())
    for name in OURS[1:]:
        if name in seconds:
            ratios[f"{name}_over_unet"] = seconds[name] / ours
    return ratios


def _digests() -> dict[str, str]:
    from engine.cards import read_card

    return {name: read_card(name).digest for name in ("cosmicrays-unet", "cosmicrays-vi")}


def measure(name: str, frame: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Time one detector in this process, which should be fresh: peak memory is the process's."""
    import torch

    torch.set_num_threads(threads)
    if name == "accuracy":
        return _bfloat16_accuracy(np.load(frame)[:TILE_PX, :TILE_PX])
    if name == "clean_command":
        return _timed_command(frame, repeats)
    run = _detector(name)
    pixels = np.load(frame)
    run(pixels[:WARM_UP_PX, :WARM_UP_PX].copy())
    return _repeated(lambda: run(pixels), repeats)


def _repeated(work: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Time `work` up to `repeats` times, once where that takes more than a minute."""
    all_seconds: list[float] = []
    while len(all_seconds) < repeats and max(all_seconds, default=0.0) < LONG_S:
        started = time.perf_counter()
        work()
        all_seconds.append(time.perf_counter() - started)
    return {
        "seconds": min(all_seconds),
        "all_seconds": all_seconds,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _detector(name: str) -> Run:
    if name.startswith("deepcr"):
        return _theirs(int(name.rpartition("_")[2]))
    if name == "lacosmic":
        return _laplacian
    return _ours(name)


def _ours(name: str) -> Run:
    """From pixels to a mask by the product's own networks."""
    from engine.cosmicrays.maps import evidence_maps
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.cosmicrays.policy import CosmicRayPolicy
    from engine.cosmicrays.scaling import NoiseScale

    policy = CosmicRayPolicy(
        method="vi" if name.startswith("vi") else "unet",
        samples=SAMPLES,
        views=8 if name.endswith("views") else 1,
        precision="bfloat16" if name.endswith("bfloat16") else "float32",
    )
    nets = CosmicRayPipeline(policy).passes(np.random.default_rng(0))

    def run(pixels: Pixels) -> Any:
        scaled = NoiseScale.of(pixels).apply(pixels)
        maps = evidence_maps(nets, scaled, precision=policy.precision)
        return maps.probability > policy.threshold

    return run


def _theirs(patch: int) -> Run:
    """deepCR's own class and loop over patches."""
    package = importlib.import_module("deepCR")
    model = package.deepCR(mask="ACS-WFC", device="CPU")
    return lambda pixels: model.clean(pixels, patch=patch)


def _laplacian(pixels: Pixels) -> Any:
    from engine.cosmicrays.lacosmic import lacosmic_mask

    return lacosmic_mask(pixels, np.zeros(pixels.shape, dtype=bool), 5.0)


def _timed_command(frame: Path, repeats: int) -> dict[str, Any]:
    """`skysieve clean` from file to file, written first in a process that is not measured."""
    source, out = frame.with_suffix(".fits"), frame.with_name("cleaned.fits")
    if not source.is_file():
        script = (
            "import sys, numpy as np; from astropy.io import fits; "
            "fits.PrimaryHDU(np.load(sys.argv[1]), fits.Header([('BUNIT', 'electron')]))"
            ".writeto(sys.argv[2])"
        )
        subprocess.run([sys.executable, "-c", script, str(frame), str(source)], check=True)
    from jobs.cli.cleaning import clean

    return _repeated(lambda: clean(source, out, method="unet"), repeats)


def _bfloat16_accuracy(pixels: Pixels) -> dict[str, Any]:
    """How far bfloat16 moves the probability, and how many pixels it moves across a half."""
    from engine.cosmicrays.maps import evidence_maps
    from engine.cosmicrays.pipeline import CosmicRayPipeline
    from engine.cosmicrays.policy import CosmicRayPolicy
    from engine.cosmicrays.scaling import NoiseScale

    nets = CosmicRayPipeline(CosmicRayPolicy(method="unet", views=1)).passes(
        np.random.default_rng(0)
    )
    scaled = NoiseScale.of(pixels).apply(pixels)
    exact = evidence_maps(nets, scaled).probability
    rough = evidence_maps(nets, scaled, precision="bfloat16").probability
    change = np.abs(rough - exact)
    return {
        "largest_change": float(change.max()),
        "mean_change_where_open": float(change[exact >= 0.01].mean()),
        "share_across_a_half": float(((rough > 0.5) != (exact > 0.5)).mean()),
        "share_masked": float((exact > 0.5).mean()),
    }


if __name__ == "__main__":
    _, chosen, path, thread_count, times = sys.argv
    print(json.dumps(measure(chosen, Path(path), int(thread_count), int(times))))  # noqa: T201
