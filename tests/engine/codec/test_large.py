"""Large frames by rows: an ordinary file, the same pixels, little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.codec.container import FileHeader
from engine.codec.decoding import decode
from engine.codec.large import decode_large, encode_large
from engine.codec.model import CodecModel
from engine.errors import BitstreamError, NotApplicable
from engine.sky import terrain


@pytest.fixture(scope="module")
def ground_rows() -> np.ndarray:
    return np.rint(terrain(np.random.default_rng(4), (208, 176))).astype(np.uint8)


def coded(image: np.ndarray, budget: int, model: CodecModel) -> bytes:
    parts: list[bytes] = []
    size = encode_large(image, budget, model, parts.append, tile=64)
    assert size == len(b"".join(parts)) <= budget
    return b"".join(parts)


def by_rows(path: Path, model: CodecModel) -> tuple[np.ndarray, tuple[int, ...]]:
    rows: list[np.ndarray] = []
    headers: list[FileHeader] = []
    found = decode_large(path, model, headers.append, lambda _, part: rows.append(part))
    assert len(headers) == 1
    return np.concatenate(rows), found.lost_tiles


@pytest.mark.parametrize("bpp", [0.6, 2.0])
def test_it_is_an_ordinary_file_that_decodes_alike(
    bpp: float, ground_rows: np.ndarray, tiny_model: CodecModel, tmp_path: Path
):
    budget = int(bpp * ground_rows.size / 8)
    data = coded(ground_rows, budget, tiny_model)
    assert len(data) > 0.7 * budget
    path = tmp_path / "large.cosmic"
    path.write_bytes(data)
    pixels, lost = by_rows(path, tiny_model)
    whole = decode(data, tiny_model)
    assert lost == whole.lost_tiles == ()
    assert np.abs(pixels - whole.pixels).max() <= 1
    assert np.abs(pixels - ground_rows).mean() < 20


def test_sixteen_bits_and_a_lost_tile(tiny_model: CodecModel, tmp_path: Path):
    rng = np.random.default_rng(5)
    image = (1000 + 30 * rng.normal(size=(150, 130)).cumsum(axis=0)).astype(np.uint16)
    data = coded(image, 12_000, tiny_model)
    path = tmp_path / "cut.cosmic"
    path.write_bytes(data[:-40])
    pixels, lost = by_rows(path, tiny_model)
    assert pixels.shape == image.shape
    assert lost == (8,)


def test_the_last_tiles_are_not_starved_by_the_first(tiny_model: CodecModel):
    """Rows grow busier, so that the first ones leave too little behind: half is kept for each."""
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, 1.0, (256, 128)) * np.linspace(1.0, 40.0, 256)[:, None]
    image = np.clip(np.rint(128 + noise), 0, 255).astype(np.uint8)
    parts: list[bytes] = []
    budget = 256 * 128 * 2 // 8
    assert encode_large(image, budget, tiny_model, parts.append, tile=64) <= budget
    sizes = [len(part) for part in parts[1:]]
    assert len(sizes) == 8
    assert min(sizes) > 0.3 * budget / 8


def test_what_cannot_be_is_refused(ground_rows: np.ndarray, tiny_model: CodecModel, tmp_path: Path):
    with pytest.raises(NotApplicable, match="do not hold this image"):
        encode_large(ground_rows, 200, tiny_model, len, tile=64)
    holed = ground_rows.astype(np.float32)
    holed[3, 3] = np.nan
    with pytest.raises(NotApplicable, match="must hold finite samples"):
        encode_large(holed, 20_000, tiny_model, len)
    path = tmp_path / "none.cosmic"
    path.write_bytes(b"not a file of ours")
    with pytest.raises(BitstreamError, match=r"not a \.cosmic file"):
        decode_large(path, tiny_model, len, lambda *_: None)


MEMORY = """
import sys
from pathlib import Path
import numpy as np
import torch
from engine.codec.large import decode_large, encode_large
from engine.codec.model import CodecModel
from jobs.bench.memory import peak_rss_bytes
torch.set_num_threads(1)
side, folder = int(sys.argv[1]), Path(sys.argv[2])
image = np.memmap(folder / "image.raw", np.uint8, "w+", shape=(side, side))
for y in range(0, side, 256):
    rows = np.arange(y, min(y + 256, side))[:, None] * 3 + np.arange(side)[None] * 5
    image[y : y + 256] = rows % 251
image.flush()
model = CodecModel.load()
with (folder / "image.cosmic").open("wb") as out:
    size = encode_large(image, int(0.5 * side * side / 8), model, out.write)
back = np.memmap(folder / "back.raw", np.uint8, "w+", shape=(side, side))
def keep(first, rows):
    back[first : first + len(rows)] = rows
decode_large(folder / "image.cosmic", model, lambda header: None, keep)
print(size, peak_rss_bytes())
"""


@pytest.mark.slow
def test_memory_hangs_on_the_width_alone(tmp_path: Path):
    """A frame of 1500 x 1500 by rows; the bench does 20000 x 20000."""
    answer = subprocess.run(
        [sys.executable, "-c", MEMORY, "1500", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    size, peak_bytes = map(int, answer.stdout.split())
    assert size <= 1500 * 1500 / 16
    assert peak_bytes < 1.5e9
