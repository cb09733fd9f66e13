"""What the codec made of a frame as pictures that share one place and one scale each."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard import layers
from engine.frame import Mask, Pixels
from engine.stretch import Method, map_png, reduced, stretch

BLUE, WHITE, ORANGE = (0, 114, 178), (255, 255, 255), (230, 159, 0)
DIVERGING = tuple(f"rgb{colour}" for colour in (BLUE, WHITE, ORANGE))
OVERLAY = (204, 121, 167)
MOST_ALPHA = 150
LIMIT_PERCENTILE = 99.5


@dataclass(frozen=True)
class CodedFrame:
    """A grey frame with its bad pixels, what was lost of it, and the bound on that, all (H, W).

    `bound` is the half width of the calibrated 90 % interval, None where there was none.
    """

    pixels: Pixels
    bad: Mask
    difference: Pixels
    bound: Pixels | None

    @property
    def limit(self) -> float:
        """Where the scales of difference, error and bound end."""
        largest = float(np.percentile(np.abs(self.difference[~self.bad]), LIMIT_PERCENTILE))
        return max(largest, 1e-12)


@dataclass(frozen=True)
class BoxFigures:
    """What was lost inside a rectangle: `inside` is the share of pixels within the bound."""

    pixels: int
    rmse: float
    largest: float
    bound: float | None
    inside: float | None


def coded_frame(run: dict[str, Any]) -> CodedFrame | None:
    """The frame of a run pixel by pixel; None for colour, and where a run kept pictures alone."""
    if run["arrays_file"] is None or run["planes"] != 1:
        return None
    stored = layers.arrays(run["arrays_file"])
    pixels, bad = layers.frame_pixels(run)
    bound = stored.get("bound")
    return CodedFrame(
        pixels,
        bad,
        stored["difference"].astype(np.float32),
        None if bound is None else bound.astype(np.float32),
    )


def box_figures(coded: CodedFrame, rows: slice, columns: slice) -> BoxFigures | None:
    """Figures of the good pixels of a rectangle; None where it holds none."""
    good = ~coded.bad[rows, columns]
    if not good.any():
        return None
    error = np.abs(coded.difference[rows, columns][good].astype(np.float64))
    bound, inside = None, None
    if coded.bound is not None:
        here = coded.bound[rows, columns][good]
        bound, inside = float(np.nanmean(here)), float((error <= here).mean())
    return BoxFigures(
        int(good.sum()), float(np.sqrt(np.square(error).mean())), float(error.max()), bound, inside
    )


@st.cache_data(max_entries=64, show_spinner=False)
def picture_url(_coded: CodedFrame, run_id: str, what: str, method: Method) -> str:  # noqa: ARG001
    """One picture as a data URL: original, decoded, difference, error or bound."""
    if what in ("original", "decoded"):
        like = _seen(_coded, _coded.pixels)
        shown = like if what == "original" else _seen(_coded, _coded.pixels + _coded.difference)
        return _url(Image.fromarray(_bytes(stretch(shown, method=method, like=like))))
    if what == "difference":
        return _url(Image.fromarray(_diverging(_seen(_coded, _coded.difference), _coded.limit)))
    values = np.abs(_coded.difference) if what == "error" else _coded.bound
    if values is None:
        raise ValueError("this run has no bound")
    png = map_png(_seen(_coded, values), low=0.0, high=_coded.limit, max_side=layers.MAX_SIDE)
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


@st.cache_data(max_entries=16, show_spinner=False)
def overlay_url(_coded: CodedFrame, run_id: str) -> str:  # noqa: ARG001  the cache's key
    """The bound as a veil to lay over the decoded frame: the denser, the less sure."""
    if _coded.bound is None:
        raise ValueError("this run has no bound")
    share = np.clip(np.nan_to_num(_seen(_coded, _coded.bound) / _coded.limit, nan=1.0), 0.0, 1.0)
    veil = np.empty((*share.shape, 4), np.uint8)
    veil[..., :3] = OVERLAY
    veil[..., 3] = np.rint(MOST_ALPHA * share)
    return _url(Image.fromarray(veil, "RGBA"))


def _seen(coded: CodedFrame, values: NDArray[np.floating]) -> Pixels:
    blanked = np.where(coded.bad, np.float32(np.nan), values.astype(np.float32))
    return reduced(blanked, layers.MAX_SIDE)


def _diverging(values: Pixels, limit: float) -> NDArray[np.uint8]:
    """Blue where the decoded frame is too dark, orange where it is too bright."""
    place = np.nan_to_num(np.clip(values / limit, -1.0, 1.0), nan=0.0)[..., None]
    ends = np.where(place < 0, np.array(BLUE), np.array(ORANGE))
    mixed = np.array(WHITE) + np.abs(place) * (ends - np.array(WHITE))
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def _bytes(grey: Pixels) -> NDArray[np.uint8]:
    return np.rint(255 * grey).astype(np.uint8)


def _url(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
