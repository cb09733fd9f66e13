"""Planes to latents and back, in bands of rows so that memory stays small for any image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from engine.codec.model import CodecModel, one_thread
from engine.codec.network import STRIDE

BAND = 64
HALO = 4
"""Latent rows computed at once, and rows seen beyond them: more than any layer's reach."""

Plane = NDArray[np.float32]
Latents = NDArray[np.float32]


def latent_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latents of a plane."""
    return -(-height // STRIDE), -(-width // STRIDE)


def cells_of(rows: slice, columns: slice, stride: int) -> tuple[slice, slice]:
    """The cells of side `stride` that these rows and columns touch."""
    return (
        slice(rows.start // stride, -(-rows.stop // stride)),
        slice(columns.start // stride, -(-columns.stop // stride)),
    )


def analyse(model: CodecModel, plane: Plane) -> tuple[Latents, Latents]:
    """Latents (C, h, w) and hyper-latents (hyper, ceil(h/2), ceil(w/2)) of a plane (H, W).

    The plane, in [-128, 127], is padded at its far edges by repeating the last row and column.
    """
    rows, columns = latent_shape(*plane.shape)
    padding = [(0, rows * STRIDE - plane.shape[0]), (0, columns * STRIDE - plane.shape[1])]
    padded = np.pad(plane, padding, mode="edge")
    latents = np.empty((model.network.widths.latent, rows, columns), np.float32)
    hyper_shape = (model.network.widths.hyper, -(-rows // 2), -(-columns // 2))
    hyper = np.empty(hyper_shape, np.float32)
    with one_thread():
        for first, last, seen_first, seen_last in _bands(rows):
            seen = padded[seen_first * STRIDE : seen_last * STRIDE]
            found = model.network.analyse(torch.from_numpy(seen)[None, None])[0]
            latents[:, first:last] = found[:, first - seen_first : last - seen_first].numpy()
        for first, last, seen_first, seen_last in _bands(rows):
            around = torch.from_numpy(latents[:, seen_first:seen_last])[None]
            found = model.network.hyper_latent(around)[0]
            offset, stop = seen_first // 2, -(-last // 2)
            hyper[:, first // 2 : stop] = found[:, first // 2 - offset : stop - offset].numpy()
    return latents, hyper


def synthesise(
    model: CodecModel,
    latents: Latents,
    log_q: Plane,
    shape: tuple[int, int],
    generator: torch.Generator | None = None,
) -> Plane:
    """Plane of `shape` from latents (C, h, w) and ln q (h, w); a generator turns dropout on."""
    rows = latents.shape[1]
    plane = np.empty((rows * STRIDE, latents.shape[2] * STRIDE), np.float32)
    with one_thread():
        for first, last, seen_first, seen_last in _bands(rows):
            made = model.network.synthesise(
                torch.from_numpy(np.ascontiguousarray(latents[:, seen_first:seen_last]))[None],
                torch.from_numpy(np.ascontiguousarray(log_q[seen_first:seen_last]))[None, None],
                generator,
            )
            offset = (first - seen_first) * STRIDE
            kept = made[0, 0, offset : offset + (last - first) * STRIDE]
            plane[first * STRIDE : last * STRIDE] = kept.numpy()
    return plane[: shape[0], : shape[1]]


def _bands(rows: int) -> Iterator[tuple[int, int, int, int]]:
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        yield first, last, max(0, first - HALO), min(rows, last + HALO)
