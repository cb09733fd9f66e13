"""The layers of one frame as pictures: stretched pixels, maps and masks, remembered by digest."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.access import owner
from engine.frame import Mask, Pixels
from engine.metrics.calibration import binary_entropy
from engine.stretch import PALETTES, Method, map_png, reduced, stretch
from jobs.packing import unpack_arrays

MAX_SIDE = 768
LN2 = float(np.log(2.0))
MAP_COLOURS = tuple(f"#{code}" for code in PALETTES["cividis"].split())
Colour = tuple[int, int, int, int]


@st.cache_resource(max_entries=8, show_spinner=False)
def arrays(digest: str) -> dict[str, NDArray[Any]]:
    """Read packed arrays by digest; nobody changes them."""
    return unpack_arrays(owner().store.files.get(digest))


def frame_pixels(run: dict[str, Any]) -> tuple[Pixels, Mask]:
    """The pixels of a run's frame, float32 (H, W), and its bad ones."""
    stored = arrays(run["pixels_file"])
    shape = (run["height"], run["width"])
    return stored["pixels"].reshape(shape).astype(np.float32, copy=False), stored["mask"]


def cleaned_pixels(run: dict[str, Any]) -> Pixels | None:
    """The cleaned frame, float32 (H, W); None where an older run kept only its picture."""
    if run["cleaned_values_file"] is None:
        return None
    cleaned = frame_pixels(run)[0].copy()
    inpainted = arrays(run["cleaned_values_file"])
    cleaned.ravel()[inpainted["index"]] = inpainted["value"]
    return cleaned


def probability(run: dict[str, Any]) -> NDArray[np.float16]:
    """The probability map of a run, float16 (H, W) in [0, 1]."""
    stored: NDArray[np.float16] = arrays(run["probability_array"])["probability"]
    return stored


def information(run: dict[str, Any]) -> NDArray[np.float16] | None:
    """The mutual information of a run in nats, float16 (H, W); None where it kept a picture."""
    if run["information_values_file"] is None:
        return None
    stored: NDArray[np.float16] = arrays(run["information_values_file"])["information"]
    return stored


@st.cache_data(max_entries=64, show_spinner=False)
def stretched_url(
    _run: dict[str, Any],
    run_id: str,  # noqa: ARG001  part of the cache's key
    layer: str,
    method: Method,
    *,
    inverted: bool,
) -> str:
    """The frame or the cleaned frame of a run, stretched between the frame's own limits."""
    pixels, bad = frame_pixels(_run)
    like = reduced(np.where(bad, np.float32(np.nan), pixels), MAX_SIDE)
    shown = like
    if layer == "cleaned":
        cleaned = cleaned_pixels(_run)
        if cleaned is None:
            return stored_url(_run["cleaned_file"])
        shown = reduced(np.where(bad, np.float32(np.nan), cleaned), MAX_SIDE)
    grey = stretch(shown, method=method, like=like)
    return _png_url(Image.fromarray(_bytes(1 - grey if inverted else grey)))


@st.cache_data(max_entries=32, show_spinner=False)
def map_url(_run: dict[str, Any], run_id: str, layer: str) -> str:  # noqa: ARG001  a cache's key
    """A map of a run (probability, entropy or information) on its fixed scale."""
    if layer == "probability":
        return _url(map_png(probability(_run).astype(np.float32), low=0, high=1, max_side=MAX_SIDE))
    if layer == "entropy":
        entropy = binary_entropy(probability(_run).astype(np.float32)).astype(np.float32)
        return _url(map_png(entropy, low=0, high=LN2, max_side=MAX_SIDE))
    values = information(_run)
    if values is None:
        return stored_url(_run["information_file"])
    return _url(map_png(values.astype(np.float32), low=0, high=LN2 / 4, max_side=MAX_SIDE))


def mask_url(mask: Mask, colour: Colour) -> str:
    """A mask as a transparent picture; a pixel stays visible in a frame shown smaller."""
    shown = _any_of_blocks(mask, MAX_SIDE)
    picture = Image.fromarray(shown.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 0, *colour], rawmode="RGBA")
    return _png_url(picture)


def stored_url(digest: str) -> str:
    """A stored PNG as a data URL."""
    return _url(owner().store.files.get(digest))


def _any_of_blocks(mask: Mask, max_side: int) -> Mask:
    height, width = mask.shape
    factor = -(-max(height, width) // max_side)
    if factor <= 1:
        return mask
    padded = np.pad(mask, ((0, -height % factor), (0, -width % factor)))
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    blocks = padded.reshape(rows, factor, columns, factor)
    touched: Mask = np.logical_or.reduce(blocks, axis=(1, 3))
    return touched


def _bytes(grey: Pixels) -> NDArray[np.uint8]:
    return np.rint(255 * grey).astype(np.uint8)


def _png_url(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)
    return _url(stream.getvalue())


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
