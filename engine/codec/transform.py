"""Planes to latents and back, in bands so that memory stays small for any image."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from engine.codec.model import CodecModel, one_thread
from engine.codec.network import STRIDE

BAND, WIDE_BAND = 64, 256
HALO = 4
"""Latent rows and columns computed at once, and those seen beyond them: more than any layer's
reach."""

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
    rows, columns = latents.shape[1:]
    plane = np.empty((rows * STRIDE, columns * STRIDE), np.float32)
    with one_thread():
        for ys, xs in product(_bands(rows), _bands(columns, WIDE_BAND)):
            seen = slice(ys[2], ys[3]), slice(xs[2], xs[3])
            made = model.network.synthesise(
                torch.from_numpy(np.ascontiguousarray(latents[:, *seen]))[None],
                torch.from_numpy(np.ascontiguousarray(log_q[seen]))[None, None],
                generator,
            )
            inside = tuple(
                slice((first - start) * STRIDE, (last - start) * STRIDE)
                for first, last, start, _ in (ys, xs)
            )
            place = slice(ys[0] * STRIDE, ys[1] * STRIDE), slice(xs[0] * STRIDE, xs[1] * STRIDE)
            plane[place] = made[0, 0][inside].numpy()
    return plane[: shape[0], : shape[1]]


def _bands(rows: int, band: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """First and last of each band, and of what is seen around it."""
    step = band or BAND
    for first in range(0, rows, step):
        last = min(first + step, rows)
        yield first, last, max(0, first - HALO), min(rows, last + HALO)
