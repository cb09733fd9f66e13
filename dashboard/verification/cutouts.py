"""The layers of one detection as small pictures that share their place: what the desk zooms as one.

Pictures come at the frame's own pixels, or at those of a stored preview, and are enlarged by the
browser: they stay small enough to be sent ahead.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard import layers, pictures
from db.errors import StoreError
from engine.errors import EngineError
from engine.frame import Pixels
from engine.stretch import PALETTES, Method, map_png, reduced, stretch

Row = dict[str, Any]
STRETCHES = tuple(name for name in get_args(Method) if name != "linear")
COLOURS = ("grey", *PALETTES)
LEAST_SIDE, MOST_SIDE, ROOM = 32, 192, 2.0
MASK_COLOUR = (230, 159, 0)
PLANES = ("science", "template", "difference")


@dataclass(frozen=True)
class Look:
    """How pictures of pixels are drawn."""

    stretch: Method = "zscale"
    palette: str = "grey"
    inverted: bool = False

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> Look:
        """What a browser asked for; anything unknown becomes the default."""
        method, palette = chosen.get("stretch"), chosen.get("palette")
        return cls(
            cast(Method, method) if method in STRETCHES else "zscale",
            palette if palette in COLOURS else "grey",
            bool(chosen.get("inverted")),
        )

    @property
    def name(self) -> str:
        """A text that names this look."""
        return f"{self.stretch}/{self.palette}/{'inverted' if self.inverted else 'plain'}"


@dataclass(frozen=True)
class Window:
    """The square of a frame that is shown: its corner (may lie outside) and side, in pixels."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, found: Mapping[str, Any]) -> Window:
        """The detection's own square and as much again around it; a whole image as it is."""
        size = int(found["size_px"])
        if found["kind"] == "image":
            side = max(int(found["height"] or size), int(found["width"] or size))
        else:
            side = min(max(round(ROOM * size), LEAST_SIDE), max(size, MOST_SIDE))
        left = round(float(found["x"]) + 0.5 - side / 2)
        return cls(left, round(float(found["y"]) + 0.5 - side / 2), side)

    def of(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Cut (..., H, W) to (..., side, side), NaN outside of the frame."""
        height, width = values.shape[-2:]
        cut = np.full((*values.shape[:-2], self.side, self.side), np.nan, dtype=np.float32)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom = min(self.top + self.side, height)
        right = min(self.left + self.side, width)
        if bottom > top and right > left:
            cut[
                ...,
                top - self.top : bottom - self.top,
                left - self.left : right - self.left,
            ] = values[..., top:bottom, left:right]
        return cut


@dataclass(frozen=True)
class Cut:
    """One layer before it is drawn: pixels to stretch, or a picture as it is stored."""

    name: str
    title: str
    pixels: Pixels | None = None
    picture: bytes | None = None
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


def layers_of(found: Row, look: Look) -> list[Row]:
    """The layers of a detection (a row of `db.queries.verify.shown`) as the desk takes them."""
    return _drawn(found["detection_id"], str(found["rays_run"]), look, found)


@st.cache_data(max_entries=400, show_spinner=False)
def _drawn(
    detection_id: str,  # noqa: ARG001  part of the cache's key
    rays: str,
    look: Look,
    _found: Row,
) -> list[Row]:
    cuts = _cuts(_found["detection_id"], rays, _found)
    science = next((cut.pixels for cut in cuts if cut.pixels is not None), None)
    shown = []
    for cut in cuts:
        png = cut.picture or _png(cut.pixels, _like(cut, science), look)
        shown.append(
            {
                "name": cut.name, "title": cut.title, "box": list(cut.box), "url": url(png),
                "alt": f"{cut.name} of the cutout",
            }
        )  # fmt: skip
    return shown


def _like(cut: Cut, science: Pixels | None) -> Pixels | None:
    """Versions of the same pixels share their limits; template and difference have their own."""
    return science if cut.name in ("science", "cleaned") else None


@st.cache_data(max_entries=200, show_spinner=False)
def _cuts(
    detection_id: str,  # noqa: ARG001  part of the cache's key
    rays: str,  # noqa: ARG001  part of the cache's key
    _found: Row,
) -> list[Cut]:
    """Everything that is stored of this place, the pixels first."""
    window = Window.around(_found)
    cuts = _pixel_cuts(_found, window)
    if not cuts:
        cuts.append(Cut("science", f"cutout, {_found['size_px']} px",
                        picture=_stored(_found["cutout_file"])))  # fmt: skip
    cuts += _ray_cuts(_found, window)
    for name, column, title in (
        ("reconstruction", "reconstruction_file", "decoded from the codec's bytes"),
        ("uncertainty", "predicted_file", "error that the codec expects"),
    ):
        picture = _from_preview(_found, column, window)
        if picture:
            cuts.append(Cut(name, title, picture=picture))
    heat = _stored(_found["heat_map_file"])
    if heat:
        share = min(float(_found["size_px"]) / window.side, 1.0)
        box = ((1 - share) / 2, (1 - share) / 2, share, share)
        cuts.append(Cut("heat-map", "unlike simulated normals", picture=heat, box=box))
    return [cut for cut in cuts if cut.pixels is not None or cut.picture is not None]


def _pixel_cuts(found: Row, window: Window) -> list[Cut]:
    """The frame's own pixels: one plane, a colour picture, or science, template, difference."""
    try:
        stored = layers.arrays(found["pixels_file"])
        pixels = stored["pixels"].astype(np.float32, copy=False)
        bad = stored["mask"]
    except (StoreError, EngineError, KeyError, TypeError):
        return []  # retention released the pixels; the stored cutout stays
    size = f"{window.side} px"
    if pixels.ndim == 2:
        good = np.where(bad, np.float32(np.nan), pixels)
        return [Cut("science", f"science, {size}", _small(window.of(good)))]
    cut = _small(window.of(np.where(bad, np.float32(np.nan), pixels)))
    if str(found.get("part") or "").split(",") == list(PLANES):
        return [Cut(name, f"{name}, {size}", cut[n]) for n, name in enumerate(PLANES)]
    if len(cut) == 3:
        return [Cut("science", f"colour, {size}", cut)]
    return [Cut("science", f"science (plane 1 of {len(cut)}), {size}", cut[0])]


def _ray_cuts(found: Row, window: Window) -> list[Cut]:
    """The frame without cosmic rays, and the mask that says where they were."""
    if found["rays_run"] is None:
        return []
    run = found | {"frame_digest": found["frame_digest"]}
    cuts: list[Cut] = []
    try:
        cleaned = layers.cleaned_pixels(run)
        if cleaned is not None:
            cuts.append(Cut("cleaned", "without cosmic rays", _small(window.of(cleaned))))
        chance = window.of(layers.probability(run).astype(np.float32))
        mask = _mask_png(chance >= found["rays_threshold"])
        cuts.append(Cut("mask", f"cosmic rays (p ≥ {found['rays_threshold']:.2f})", picture=mask))
    except (StoreError, EngineError, ValueError, KeyError):
        pass  # released, or an older run: the preview below stands in
    if not any(cut.name == "cleaned" for cut in cuts):
        picture = _from_preview(found, "cleaned_file", window)
        if picture:
            cuts.insert(0, Cut("cleaned", "without cosmic rays", picture=picture))
    return cuts


def _from_preview(found: Row, column: str, window: Window) -> bytes | None:
    """The window cut out of a stored picture of the whole frame."""
    content = _stored(found[column])
    if content is None or not found["width"]:
        return None
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    scale = picture.width / found["width"]
    corners = (window.left, window.top, window.left + window.side, window.top + window.side)
    cut = picture.crop(tuple(round(scale * edge) for edge in corners))
    return _encoded(cut if cut.width and cut.height else cut.resize((1, 1)))


def _stored(digest: str | None) -> bytes | None:
    if not digest:
        return None
    try:
        return pictures.content(digest)
    except StoreError:
        return None


def _small(pixels: Pixels) -> Pixels:
    return reduced(pixels, MOST_SIDE)


def _png(pixels: Pixels | None, like: Pixels | None, look: Look) -> bytes:
    if pixels is None:
        raise EngineError("a layer has neither pixels nor a picture: there is nothing to draw")
    shown = stretch(pixels, method=look.stretch, like=like)
    shown = np.asarray(1 - shown if look.inverted else shown, dtype=np.float32)
    if shown.ndim == 2 and look.palette in PALETTES:
        return map_png(shown, low=0, high=1, palette=look.palette)
    grey = np.rint(255 * shown).astype(np.uint8)
    return _encoded(Image.fromarray(grey if grey.ndim == 2 else np.moveaxis(grey, 0, -1)))


def _mask_png(mask: NDArray[np.bool_]) -> bytes:
    picture = Image.fromarray(mask.astype(np.uint8), mode="P")
    picture.putpalette([32, 32, 32, *MASK_COLOUR])
    return _encoded(picture)


def _encoded(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def url(png: bytes) -> str:
    """A picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
