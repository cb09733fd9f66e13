"""CPU seconds a megapixel on one thread, and memory of a frame that no memory needs to hold."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from engine.codec.container import read_header, read_packets
from engine.codec.decoding import decode
from engine.codec.encoding import encode, prepare
from engine.codec.learned import code_tiles
from engine.codec.model import CodecModel
from engine.codec.rate import RateTarget
from engine.frame import Frame, Origin
from engine.sky import terrain
from jobs.bench.codec_classics import BASELINES, Grey

SIDE = 1024
BPP = 0.5
REPEATS = 3
LARGE_SIDE = 20_000
_LARGE = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from engine.codec.large import decode_large, encode_large
from engine.codec.model import CodecModel
from engine.sky import terrain
from jobs.bench.memory import peak_rss_bytes

class Rows:
    # Read when they are asked for: pages of a memory map would count as memory.
    def __init__(self, path, side):
        self.path, self.shape, self.dtype = path, (side, side), np.dtype(np.uint8)

    def __getitem__(self, rows):
        first, stop, _ = rows.indices(self.shape[0])
        count, across = max(stop - first, 0), self.shape[1]
        found = np.fromfile(self.path, np.uint8, count * across, offset=first * across)
        return found.reshape(count, across)


side = int(sys.argv[1])
rng = np.random.default_rng(0)
patch = np.rint(terrain(rng, (1000, 1000))).astype(np.uint8)
with tempfile.TemporaryDirectory() as folder:
    raw, coded = Path(folder) / "image.raw", Path(folder) / "image.cosmic"
    with raw.open("wb") as stream:
        for y in range(0, side, 1000):
            parts = [np.roll(patch, (y // 7, x // 11), (0, 1)) for x in range(0, side, 1000)]
            rows = np.concatenate(parts, axis=1)[: side - y, :side]
            stream.write(rows.tobytes())
    source = Rows(raw, side)
    model, squared, begun = CodecModel.load(), [0.0], time.process_time()
    with coded.open("wb") as stream:
        size = encode_large(source, side * side // 16, model, stream.write)
    middle = time.process_time()

    def keep(first, part):
        truth = source[first : first + len(part)].astype(np.float32)
        squared[0] += float(np.square(truth - part, dtype=np.float64).sum())

    decode_large(coded, model, lambda header: None, keep)
    ended = time.process_time()
print(json.dumps({
    "side": side,
    "bpp": 8 * size / side**2,
    "psnr_db": 10 * float(np.log10(255**2 * side**2 / squared[0])),
    "encode_cpu_s_per_mp": (middle - begun) / side**2 * 1e6,
    "decode_cpu_s_per_mp": (ended - middle) / side**2 * 1e6,
    "peak_rss_bytes": peak_rss_bytes(),
}))
"""


def speed_figures(model: CodecModel) -> dict[str, Any]:
    """Least CPU seconds of three, per megapixel, at 0.5 bits a pixel; one thread each."""
    pixels = np.rint(terrain(np.random.default_rng(0), (SIDE, SIDE))).astype(np.uint8)
    frame = Frame.of(pixels, Origin("bench", "speed"))
    target = RateTarget(bpp=BPP)
    coded = encode(frame, target, model)
    ours = {
        "encode": _seconds(lambda: encode(frame, target, model)),
        "decode": _seconds(lambda: decode(coded, model)),
    }
    one_pass = _seconds(lambda: _at_one_step(frame, model, coded))
    figures: dict[str, Any] = {
        "skysieve": ours,
        "encode_at_a_given_step": one_pass,
        "encoder_passes_of_rate_control": ours["encode"] / one_pass - 1.0,
    }
    for name in ("jpeg2000", "jpegxl"):
        knob, content = _knob(name, pixels)
        baseline = BASELINES[name]
        figures[name] = {
            "encode": _seconds(partial(baseline.encode, pixels, knob)),
            "decode": _seconds(partial(baseline.decode, content, pixels.shape)),
        }
        figures[f"times_{name}"] = {key: ours[key] / figures[name][key] for key in ours}
    return figures


def _at_one_step(frame: Frame, model: CodecModel, coded: bytes) -> bytes:
    """The frame coded without a search for its rate, at the step of most of its tiles."""
    header, start = read_header(coded)
    steps = [packet.step for packet in read_packets(coded, start, len(coded))]
    step = max(set(steps), key=steps.count)
    tiles = prepare(frame, len(coded), model, header.tile).tiles
    code_tiles(tiles, step)
    return b"".join(tile.payload(step) for tile in tiles)


def _knob(name: str, pixels: Grey) -> tuple[float, bytes]:
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        too_large = len(BASELINES[name].encode(pixels, middle)) > BPP * pixels.size / 8
        low, high = (low, middle) if too_large else (middle, high)
    return low, BASELINES[name].encode(pixels, low)


def _seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken) / SIDE**2 * 1e6


def large_figures(side: int = LARGE_SIDE) -> dict[str, Any]:
    """A large frame coded and decoded in a process of its own, with that process's peak memory."""
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(side)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
