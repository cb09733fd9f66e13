"""Embeddings of the real sets, computed once and kept where the caller says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import engine.anomalies.embedders as embedders
from engine.anomalies.cutouts import whole_image
from engine.anomalies.embedders import Embedder
from engine.anomalies.preprocessing import embedder_input, preprocessing_text
from engine.cards import file_digest
from jobs.bench.anomalies.pictures import Picture, bright_area

CHUNK = 64
PIXELS = 32
MODULES = ("cropped", "efficientnet", "fitted", "joined", "morphology", "zoomed")


def embedded(
    pictures: Sequence[Picture],
    embedder: Embedder,
    cache: Path | None,
    say: Callable[[str], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Embeddings float32 (N, D) of whole pictures, by chunks read from `cache` where they are.

    A chunk is kept under the digest of its pictures, of the embedder's name and code and of the
    preprocessing, so that a change of any of them computes it anew.
    """

    def compute(chunk: Sequence[Picture]) -> NDArray[np.float32]:
        cutouts = [whole_image(picture.read()) for picture in chunk]
        return embedder.embed(embedder_input(cutouts, side=embedder.input_side))

    return _chunks(pictures, identity(embedder), cache, compute, say)


def plain_figures(
    pictures: Sequence[Picture], cache: Path | None, say: Callable[[str], None] = lambda _: None
) -> NDArray[np.float32]:
    """32 x 32 grey pixels and the bright area of every picture, float32 (N, 1025)."""

    def compute(chunk: Sequence[Picture]) -> NDArray[np.float32]:
        frames = [picture.read() for picture in chunk]
        small = embedder_input([whole_image(frame) for frame in frames], side=PIXELS)
        grey = small.mean(axis=1).reshape(len(frames), -1)
        area = np.array([bright_area(frame) for frame in frames])
        return np.concatenate([grey, area[:, None]], axis=1).astype(np.float32)

    return _chunks(pictures, "plain-1", cache, compute, say)


def identity(embedder: Embedder) -> str:
    """Digest of the embedder's name and code, and of how images are prepared for it."""
    folder = Path(embedders.__file__).parent
    code = "".join(file_digest(folder / f"{module}.py") for module in MODULES)
    facts = f"{embedder.name}|{preprocessing_text(embedder.input_side)}|{code}"
    return hashlib.sha256(facts.encode()).hexdigest()


def _chunks(
    pictures: Sequence[Picture],
    what: str,
    cache: Path | None,
    compute: Callable[[Sequence[Picture]], NDArray[np.float32]],
    say: Callable[[str], None],
) -> NDArray[np.float32]:
    blocks = []
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        name = hashlib.sha256("|".join([what, *(p.content for p in chunk)]).encode()).hexdigest()
        path = cache / f"{name[:32]}.npy" if cache is not None else None
        if path is not None and path.is_file():
            blocks.append(np.load(path))
            continue
        block = np.asarray(compute(chunk), dtype=np.float32)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".part").open("wb") as stream:
                np.save(stream, block)
            path.with_suffix(".part").replace(path)
        blocks.append(block)
        say(f"{start + len(chunk)} of {len(pictures)} pictures")
    return np.concatenate(blocks) if blocks else np.empty((0, 0), np.float32)
